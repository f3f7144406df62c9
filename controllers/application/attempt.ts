import { toFailure } from '../../protos/status.js';
import { unavailable } from '../../runtime/errors.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { Outcome } from '../kernel/capabilities/objects.js';
import type { KernelAccess } from '../kernel/device.js';
import type { Plan } from './plan.js';
import { checkResultSize, collectResult, holdsMemory } from './result.js';

export interface AttemptOptions {
  readonly run: string;
  /** Counts from 1. */
  readonly attempt: number;
  /** When the budget of the run ends; ms since 1970. */
  readonly deadlineMs: number;
  /** What the steps are part of; empty = of no trace. */
  readonly traceparent: string;
  /** Its abort ends the attempt as failed with the reason. */
  readonly signal: AbortSignal;
}

/** One attempt at a run; resolves with its outcome and never rejects. What it leaves under way is for the runner to release. */
export type Attempt = (
  kernel: KernelAccess,
  plan: Plan,
  options: AttemptOptions,
) => Promise<Outcome>;

/**
 * An outcome that is settled once: by what `begin` starts, by the loss of a member that the plan depends on, or by the abort of the signal. A result is
 * fetched whole before anything is undone. `begin` returns what undoes it.
 */
export function settleOnce(
  kernel: KernelAccess,
  { members }: Plan,
  signal: AbortSignal,
  begin: (settle: (outcome: Outcome) => void) => () => void,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const settlement = new Settlement(resolve);
    const fail = (error: unknown, member = ''): void => {
      const failure = toFailure(error, { step: '', member });
      settlement.end({ kind: 'failed', failure, receipts: [] });
    };
    const onAbort = (): void => {
      fail(signal.reason);
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    settlement.add(() => {
      signal.removeEventListener('abort', onAbort);
    });
    for (const member of members) {
      if (isSelf(kernel, member)) continue;
      const lost = (): void => {
        kernel.suspect(member);
        const { id } = member;
        fail(unavailable('OWNER_LOST', `${id} was lost while the run depended on it`), id);
      };
      settlement.add(kernel.watch(member, lost));
    }
    if (settlement.isEnded) return;
    const undo = begin((outcome) => {
      void whole(kernel, outcome, signal).then((collected) => {
        settlement.end(collected);
      });
    });
    settlement.add(undo);
  });
}

/** Ends once and then undoes what was begun, also what is added afterwards. */
class Settlement {
  readonly #resolve: (outcome: Outcome) => void;
  readonly #undo: (() => void)[] = [];
  #isEnded = false;

  constructor(resolve: (outcome: Outcome) => void) {
    this.#resolve = resolve;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  add(undo: () => void): void {
    if (this.#isEnded) undo();
    else this.#undo.push(undo);
  }

  end(outcome: Outcome): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const undo of this.#undo.splice(0)) undo();
    this.#resolve(outcome);
  }
}

/** Never rejects. */
async function whole(
  kernel: KernelAccess,
  outcome: Outcome,
  signal: AbortSignal,
): Promise<Outcome> {
  if (outcome.kind === 'failed') return outcome;
  const { result, receipts } = outcome;
  try {
    if (!holdsMemory(result)) {
      checkResultSize(kernel, result);
      return outcome;
    }
    return { ...outcome, result: await collectResult(kernel, result, signal) };
  } catch (error) {
    return { kind: 'failed', failure: toFailure(error, { step: '', member: '' }), receipts };
  }
}

/** Epochs are unique in a data center. A node has no link to itself that could break. */
function isSelf(kernel: KernelAccess, member: Member): boolean {
  return member.epoch === kernel.epoch();
}
