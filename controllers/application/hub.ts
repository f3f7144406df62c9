import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import type { Failure, Value } from '../../protos/gen/fractory/v1/value.js';
import { toFailure } from '../../protos/status.js';
import { systemClock } from '../../runtime/clock.js';
import type { KernelAccess } from '../kernel/device.js';
import { encodeContinuation } from '../kernel/graph/continuation.js';
import { Resender } from '../kernel/graph/resender.js';
import type { KeptMemory } from '../kernel/memory/access.js';
import { Results } from '../kernel/results.js';
import type { AttemptOptions } from './attempt.js';

/** How something in a star ended. */
export type StarOutcome =
  | { readonly kind: 'succeeded'; readonly value: Value }
  | { readonly kind: 'failed'; readonly failure: Failure };

/** One use of one step. */
export interface Call {
  /** With the numbers of the elements of the maps around: `sum[3]`. */
  readonly step: string;
  readonly capability: Capability;
  readonly arguments: ReadonlyMap<string, Value>;
  readonly retries: number;
  /** Its result is for another step: it is fetched here and, where it is large, served from here. */
  readonly goesOn: boolean;
}

/** The middle of a star: invokes single steps and keeps what came back for the next. */
export class Hub {
  readonly #kernel: KernelAccess;
  readonly #options: AttemptOptions;
  readonly #results: Results;
  readonly #receipts: Uint8Array[] = [];
  readonly #kept: KeptMemory[] = [];
  readonly #replies = new Set<() => void>();
  readonly #resender: Resender;
  readonly #closing = new AbortController();

  constructor(kernel: KernelAccess, options: AttemptOptions) {
    this.#kernel = kernel;
    this.#options = options;
    this.#results = new Results(kernel.memory, kernel.limits.inline_limit_bytes);
    this.#resender = new Resender({
      clock: systemClock,
      dispatch: (invocation, settle) => {
        kernel.dispatch(invocation, settle);
      },
      onRefused: () => undefined,
    });
  }

  get limits(): KernelAccess['limits'] {
    return this.#kernel.limits;
  }

  /** Those of all steps so far, encoded. */
  get receipts(): readonly Uint8Array[] {
    return this.#receipts;
  }

  /** Invokes a step; `done` hears once, unless the hub is closed before. */
  call(call: Call, done: (outcome: StarOutcome) => void): void {
    const reply = this.#kernel.addReply((outcome) => {
      this.#replies.delete(reply.revoke);
      const room = this.limits.max_receipts - this.#receipts.length;
      this.#receipts.push(...outcome.receipts.slice(0, Math.max(0, room)));
      if (outcome.kind === 'failed') done({ kind: 'failed', failure: outcome.failure });
      else if (call.goesOn) this.#fetch(call, outcome.result, done);
      else done({ kind: 'succeeded', value: outcome.result });
    });
    this.#replies.add(reply.revoke);
    this.#resender.send(this.#invocation(call, reply), (error) => {
      reply.revoke();
      this.#replies.delete(reply.revoke);
      this.#fail(call.step, call.capability.owner, error, done);
    });
  }

  /**
   * A value as it travels onward: kept here where it is above the inline limit, with the hash that its producer knew. Throws RESOURCE_EXHAUSTED where
   * there is no room.
   */
  travelling(value: Value, sha256?: Uint8Array): Value {
    const { run, deadlineMs } = this.#options;
    const leaseMs = Math.max(1, deadlineMs - Date.now());
    const options = { client: `run ${run}`, leaseMs };
    const { value: travelling, kept } = this.#results.travelling(value, options, sha256);
    if (kept) this.#kept.push(kept);
    return travelling;
  }

  /** The same with its bytes instead of memories; `done` hears an error under the name of `step`. */
  pull(
    step: string,
    value: Value,
    then: (value: Value) => void,
    failed: (failure: Failure) => void,
  ): void {
    if (value.kind?.$case !== 'memory' && value.kind?.$case !== 'list') {
      then(value);
      return;
    }
    const { signal } = this.#closing;
    const maxBytes = this.limits.max_pulled_bytes;
    this.#kernel.memory.pull(value, { maxBytes, signal }).then(
      (whole) => {
        if (!signal.aborted) then(whole);
      },
      (error: unknown) => {
        if (!signal.aborted) failed(toFailure(error, { step, member: '' }));
      },
    );
  }

  /** Nobody hears of calls under way; what is kept here is freed. */
  close(): void {
    this.#closing.abort();
    for (const revoke of this.#replies) revoke();
    this.#replies.clear();
    this.#resender.stop();
    for (const kept of this.#kept.splice(0)) kept.free();
  }

  #fetch(call: Call, value: Value, done: (outcome: StarOutcome) => void): void {
    this.pull(
      call.step,
      value,
      (whole) => {
        let travelling;
        try {
          travelling = this.travelling(whole, hashOf(value));
        } catch (error) {
          this.#fail(call.step, call.capability.owner, error, done);
          return;
        }
        done({ kind: 'succeeded', value: travelling });
      },
      (failure) => {
        done({ kind: 'failed', failure: { ...failure, member: call.capability.owner } });
      },
    );
  }

  #fail(step: string, member: string, error: unknown, done: (outcome: StarOutcome) => void): void {
    done({ kind: 'failed', failure: toFailure(error, { step, member }) });
  }

  #invocation(
    call: Call,
    reply: { readonly success: Capability; readonly failure: Capability },
  ): Invocation {
    const { attempt, deadlineMs, traceparent } = this.#options;
    return {
      ...{ id: 0n, hops: 0, receipts: [], shared: [], attempt, traceparent },
      ...{ capability: call.capability, retries: call.retries },
      arguments: [...call.arguments].map(([name, value]) => ({ name, value })),
      onSuccess: [encodeContinuation(reply.success, 'result')],
      onFailure: [encodeContinuation(reply.failure, 'failure')],
      budgetMs: Math.max(1, Math.floor(deadlineMs - Date.now())),
      sentAtUs: BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)),
    };
  }
}

/** What the producer of a kept value knows its bytes by: whoever uses them in the end compares with that. */
function hashOf({ kind }: Value): Uint8Array | undefined {
  return kind?.$case === 'memory' && kind.value.sha256.length > 0 ? kind.value.sha256 : undefined;
}
