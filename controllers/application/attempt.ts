import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { toFailure } from '../../protos/status.js';
import { unavailable } from '../../runtime/errors.js';
import { encodeContinuation, INPUT } from '../kernel/continuation.js';
import type { KernelAccess } from '../kernel/device.js';
import type { Outcome } from '../kernel/objects.js';
import type { PlannedStep } from './plan.js';

/** Argument under which the reply of a run takes its value. */
const RESULT = 'result';

/** One attempt at a run; resolves with its outcome and never rejects. */
export type Attempt = (
  kernel: KernelAccess,
  steps: readonly PlannedStep[],
  deadlineMs: number,
  signal: AbortSignal,
  /** What the steps are part of; default: of no trace. */
  traceparent?: string,
) => Promise<Outcome>;

/** Hub-free: all steps nested into one invocation; each node invokes the next, and only the last answers here. */
export const ringAttempt: Attempt = (kernel, steps, deadlineMs, signal, traceparent = '') =>
  invokeAndWait(kernel, steps, { deadlineMs, traceparent, input: undefined }, signal);

/** For comparison: every result returns here, and the next step is invoked from here. */
export const starAttempt: Attempt = async (kernel, steps, deadlineMs, signal, traceparent = '') => {
  let value: Value | undefined;
  const receipts: Uint8Array[] = [];
  for (const step of steps) {
    const outcome = await invokeAndWait(
      kernel,
      [step],
      { deadlineMs, traceparent, input: value },
      signal,
    );
    receipts.push(...outcome.receipts);
    if (outcome.kind === 'failed') return { ...outcome, receipts };
    value = outcome.result;
  }
  return { kind: 'succeeded', result: value ?? {}, receipts };
};

/** What the first step is invoked with. */
interface Beginning {
  readonly deadlineMs: number;
  readonly traceparent: string;
  readonly input: Value | undefined;
}

/** Invokes a chain of steps and waits for its reply, for the loss of a member that it depends on, or for the abort of `signal`. */
function invokeAndWait(
  kernel: KernelAccess,
  steps: readonly PlannedStep[],
  beginning: Beginning,
  signal: AbortSignal,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const cleanup: (() => void)[] = [];
    const finish = (outcome: Outcome): void => {
      for (const undo of cleanup.splice(0)) undo();
      resolve(outcome);
    };
    const fail = (error: unknown, planned: PlannedStep | undefined): void => {
      const where = { step: planned?.step.id ?? '', member: planned?.member.id ?? '' };
      finish({ kind: 'failed', failure: toFailure(error, where), receipts: [] });
    };
    const reply = kernel.addReply(finish);
    cleanup.push(reply.revoke);
    const onAbort = (): void => {
      fail(signal.reason, undefined);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    cleanup.push(() => {
      signal.removeEventListener('abort', onAbort);
    });
    for (const planned of distinctMembers(steps))
      cleanup.push(
        kernel.watch(planned.member, () => {
          kernel.suspect(planned.member);
          const { id } = planned.member;
          fail(unavailable('OWNER_LOST', `${id} was lost while the run depended on it`), planned);
        }),
      );
    kernel.dispatch(compose(steps, reply, beginning), (error) => {
      if (error) fail(error, steps[0]);
    });
  });
}

function distinctMembers(steps: readonly PlannedStep[]): PlannedStep[] {
  return [...new Map(steps.map((planned) => [planned.member.id, planned])).values()];
}

/** Nests steps from the last to the first. */
function compose(
  steps: readonly PlannedStep[],
  reply: { success: PlannedStep['capability']; failure: PlannedStep['capability'] },
  { deadlineMs, traceparent, input }: Beginning,
): Invocation {
  let onSuccess = [encodeContinuation(reply.success, RESULT)];
  for (const { step, capability } of steps.slice(1).reverse())
    onSuccess = [encodeContinuation(capability, step.inputArgument ?? INPUT, onSuccess)];
  const first = steps[0];
  const args = input && first ? [{ name: first.step.inputArgument ?? INPUT, value: input }] : [];
  return {
    id: 0n,
    capability: first?.capability,
    arguments: args,
    onSuccess,
    onFailure: [encodeContinuation(reply.failure, 'failure')],
    budgetMs: Math.max(1, Math.floor(deadlineMs - Date.now())),
    receipts: [],
    hops: 0,
    sentAtUs: BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)),
    traceparent,
  };
}
