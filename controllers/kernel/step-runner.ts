import { status } from '@grpc/grpc-js';

import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { StepScope } from '../../protos/gen/fractory/v1/caveat.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { toFractoryError } from '../../protos/status.js';
import { contentBytesOf } from '../../protos/values.js';
import { backoffMs } from '../../runtime/backoff.js';
import { sleep } from '../../runtime/deadline.js';
import type { FractoryError } from '../../runtime/errors.js';
import { RetryBudget } from '../../runtime/retry-budget.js';
import type { OperationResult } from '../../services/adaptor.js';
import { KeptResult } from '../../services/content.js';
import type { Activities } from './graph/activities.js';
import { stepIdOf } from './graph/step-id.js';
import { KernelInvocationContext } from './invocation-context.js';
import type { KeepOptions, KeptMemory, MemoryAccess } from './memory/access.js';
import { memoriesIn } from './memory/value-content.js';
import { OnceSteps } from './once-steps.js';
import { nowUs } from './receipts.js';
import { RememberedResults } from './remembered-results.js';
import type { StepUse } from './remembered-results.js';
import type { Results, Travelling } from './results.js';
import { StepEnds } from './step-ends.js';
import type { StepEndParts } from './step-ends.js';
import { untilAborted } from './until-aborted.js';
import { argumentsToPull, perform } from './work.js';
import type { Work } from './work.js';

export interface StepRunnerParts extends StepEndParts {
  readonly memory: MemoryAccess;
  readonly results: Results;
  readonly activities: Activities;
  readonly stopping: AbortSignal;
}

/** Between two tries of one step. */
const BACKOFF = { initialMs: 20, maxMs: 1000 };

/** Performs admitted invocations, and has what comes next invoked with the result. */
export class StepRunner {
  readonly #parts: StepRunnerParts;
  readonly #ends: StepEnds;
  readonly #remembered: RememberedResults;
  readonly #retries: RetryBudget;
  readonly #once: OnceSteps;
  #running = 0;
  #idle: (() => void) | undefined;

  constructor(parts: StepRunnerParts) {
    this.#parts = parts;
    this.#ends = new StepEnds(parts);
    const { max_remembered_results, max_remembered_bytes } = parts.limits;
    this.#remembered = new RememberedResults(max_remembered_results, max_remembered_bytes);
    this.#retries = new RetryBudget({ clock: parts.clock });
    this.#once = new OnceSteps({
      maxBytes: max_remembered_bytes,
      now: () => parts.clock.now(),
    });
  }

  /** Operations under way. */
  get running(): number {
    return this.#running;
  }

  /** Resolves when nothing runs. */
  async whenIdle(): Promise<void> {
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  /** The run has ended: what is remembered of uses of `capability`, and of those narrowed from it, goes. */
  forget(scope: StepScope, capability: Capability): void {
    this.#remembered.forget(scope, capability);
    this.#once.forget(scope, capability);
  }

  /** A new life of the node: what was remembered belonged to the one before. */
  reset(): void {
    this.#remembered.clear();
    this.#once.clear();
  }

  /** What answers at once is continued at once; anything else goes on by itself. */
  start(work: Work): void {
    // Outside of runs nobody can tell one use from another.
    const once = work.operation.spec.idempotent ? undefined : useOf(work);
    if (once) {
      void this.#goOnce(work, once);
      return;
    }
    const remembered = this.#recall(work);
    if (remembered) {
      work.reused = true;
      this.#ends.succeed(work, remembered);
      return;
    }
    this.#running++;
    this.#retries.deposit();
    work.startedAtUs = nowUs();
    try {
      const pulls = argumentsToPull(work);
      const result = pulls.length === 0 ? perform(work) : undefined;
      if (result && !(result instanceof Promise) && !(result instanceof KeptResult)) {
        const { value, kept } = this.#parts.results.travelling(result, this.#keepOptions(work));
        this.#kept(work, kept);
        this.#ends.succeed(work, value);
        this.#ended(work);
        return;
      }
      void this.#goOn(work, result, pulls);
    } catch (error) {
      this.#ends.fail(work, error);
      this.#ended(work);
    }
  }

  /** Never rejects. */
  async #goOn(
    work: Work,
    begun: OperationResult | Promise<OperationResult> | undefined,
    pulls: readonly string[],
  ): Promise<void> {
    const unregister = this.#register(work);
    try {
      const { value, kept } = await this.#tryUntil(work, begun, pulls);
      if (work.released) kept?.free();
      else {
        this.#kept(work, kept);
        this.#remember(work, value, kept);
        this.#ends.succeed(work, value);
      }
    } catch (error) {
      this.#ends.fail(work, error);
    } finally {
      unregister();
      this.#ended(work);
    }
  }

  /** A step that must not be done twice goes on though this use of it is released: another attempt waits for it. Never rejects. */
  async #goOnce(work: Work, use: StepUse): Promise<void> {
    this.#running++;
    work.startedAtUs = nowUs();
    const unregister = this.#register(work);
    const { allowance, deadlineMs, operation } = work;
    const { clock, member } = this.#parts;
    try {
      const name = { step: stepIdOf(allowance) ?? operation.spec.name, member };
      const untilMs = allowance.expiresAtMs ?? clock.now() + deadlineMs - clock.monotonicMs();
      const { outcome, isFirst } = this.#once.join(use, name, untilMs, (begins) =>
        this.#performOnce(work, begins),
      );
      work.reused = !isFirst;
      const { value, kept } = await untilAborted(outcome, work.context.signal, this.#parts.log);
      work.heldBytes = kept ? Number(kept.memory.sizeBytes) : 0;
      if (!work.released) this.#ends.succeed(work, value);
    } catch (error) {
      this.#ends.fail(work, error);
    } finally {
      unregister();
      this.#ended(work);
    }
  }

  /** Only the end of the run, the node or the time of the step ends it. */
  async #performOnce(first: Work, begins: () => void): Promise<Travelling> {
    const context = this.#contextFor(first, first.allowance.timeoutMs);
    const work: Work = { ...first, context, released: false };
    const { signal } = context;
    this.#running++;
    const unregister = this.#add(work, true, (reason) => {
      work.released = true;
      context.abort(reason);
    });
    try {
      const pulls = argumentsToPull(work);
      if (pulls.length > 0) await this.#pull(work, pulls, signal);
      signal.throwIfAborted();
      begins();
      const settled = await this.#settle(
        work,
        await untilAborted(perform(work), signal, this.#parts.log),
        signal,
      );
      if (work.released) settled.kept?.free();
      else this.#kept(work, settled.kept);
      return settled;
    } finally {
      unregister();
      this.#ended(work);
    }
  }

  async #tryUntil(
    work: Work,
    begun: OperationResult | Promise<OperationResult> | undefined,
    pulls: readonly string[],
  ): Promise<Travelling> {
    for (let tries = 1, first = begun; ; tries++, first = undefined) {
      const { context } = work;
      try {
        const { signal } = context;
        const result = first ?? this.#perform(work, pulls, signal);
        return await this.#settle(
          work,
          await untilAborted(result, signal, this.#parts.log),
          signal,
        );
      } catch (error) {
        if (tries > work.invocation.retries || !this.#isWorthTrying(work, error)) throw error;
        this.#parts.log.debug({ err: error, tries }, 'step is tried again');
      }
      context.end();
      await this.#pause(work, tries);
      work.context = this.#contextFor(work, work.allowance.timeoutMs);
      work.tries = tries + 1;
    }
  }

  /** Waits before the next try; what ends the step ends the pause. */
  async #pause(work: Work, tries: number): Promise<void> {
    const context = this.#contextFor(work, undefined);
    work.context = context;
    try {
      const leftMs = work.deadlineMs - this.#parts.clock.monotonicMs();
      const heldMs = Math.min(this.#retries.withdraw(), leftMs / 2);
      await sleep(Math.max(backoffMs(tries, BACKOFF), heldMs), context.signal);
    } finally {
      context.end();
    }
  }

  async #perform(
    work: Work,
    pulls: readonly string[],
    signal: AbortSignal,
  ): Promise<OperationResult> {
    if (pulls.length > 0) await this.#pull(work, pulls, signal);
    return perform(work);
  }

  async #pull(work: Work, names: readonly string[], signal: AbortSignal): Promise<void> {
    const begunAtUs = nowUs();
    let maxBytes = this.#parts.limits.max_pulled_bytes;
    for (const name of names) {
      const value = work.args.get(name);
      if (!value) continue;
      const pulled = await this.#parts.memory.pull(value, { maxBytes, signal });
      maxBytes -= contentBytesOf(pulled);
      work.args.set(name, pulled);
    }
    work.pullUs += nowUs() - begunAtUs;
  }

  #settle(work: Work, result: OperationResult, signal: AbortSignal): Promise<Travelling> {
    return this.#parts.results.settle(result, this.#keepOptions(work), signal);
  }

  #contextFor(work: Work, timeoutMs: number | undefined): KernelInvocationContext {
    const { clock, log, stopping, memory } = this.#parts;
    return new KernelInvocationContext({
      budgetMs: Math.max(1, work.deadlineMs - clock.monotonicMs()),
      step: work.context.step,
      ...{ timeoutMs, log, stopping, memory },
    });
  }

  #isWorthTrying({ operation, released, deadlineMs }: Work, thrown: unknown): boolean {
    if (released || this.#parts.stopping.aborted || !operation.spec.idempotent) return false;
    if (this.#parts.clock.monotonicMs() >= deadlineMs) return false;
    const { code, reason } = toFractoryError(thrown);
    return TRANSIENT.has(code) || reason === 'STEP_TIMEOUT';
  }

  #keepOptions({ allowance, deadlineMs }: Work): KeepOptions {
    const { clock } = this.#parts;
    const leaseMs =
      allowance.expiresAtMs === undefined
        ? deadlineMs - clock.monotonicMs()
        : allowance.expiresAtMs - clock.now();
    const client = allowance.step ? `run ${allowance.step.run}` : 'invocations';
    return { client, leaseMs: Math.max(1, leaseMs) };
  }

  /** A kept result belongs to its step until the run ends. */
  #kept(work: Work, kept: KeptMemory | undefined): void {
    if (!kept) return;
    work.heldBytes = Number(kept.memory.sizeBytes);
    kept.onFreed(
      this.#add(work, true, () => {
        kept.free();
      }),
    );
  }

  /** What a release of the step ends; returns what takes it out. */
  #register(work: Work): () => void {
    return this.#add(work, false, (reason) => {
      work.released = true;
      work.context.abort(reason);
    });
  }

  #add(
    { allowance: { step }, invocation }: Work,
    isResult: boolean,
    end: (reason: FractoryError) => void,
  ): () => void {
    const { capability, attempt } = invocation;
    if (!step || !capability) return () => undefined;
    const { activities } = this.#parts;
    return activities.add(step.run, step.step, { capability, attempt, isResult, end });
  }

  #ended(work: Work): void {
    work.context.end();
    this.#running--;
    if (this.#running === 0) this.#idle?.();
  }

  #recall(work: Work): Value | undefined {
    const use = this.#remembered.size === 0 ? undefined : useOf(work);
    return use && this.#remembered.get(use);
  }

  /**
   * Only what took a promise is remembered: what answers at once is done again for less. Nor are memories of other nodes: nobody here hears when
   * they are gone, and a run that is tried again for that would get the same again.
   */
  #remember(work: Work, value: Value, kept: KeptMemory | undefined): void {
    const use = useOf(work);
    if (!use || (!kept && memoriesIn(value).length > 0)) return;
    this.#remembered.set(use, value, kept ? () => kept.isLive : undefined);
  }
}

const TRANSIENT: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
]);

/** Which step of a run it is, by which capability; undefined outside of runs. */
function useOf({ allowance: { step }, invocation: { capability } }: Work): StepUse | undefined {
  return step && capability && { scope: step, capability };
}
