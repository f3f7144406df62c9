import { status } from '@grpc/grpc-js';

import type { Failure, Value } from '../../protos/gen/fractory/v1/value.js';
import { toFailure, toFractoryError } from '../../protos/status.js';
import { contentBytesOf } from '../../protos/values.js';
import type { Limits } from '../../config/limits.js';
import { backoffMs } from '../../runtime/backoff.js';
import type { Clock } from '../../runtime/clock.js';
import { sleep } from '../../runtime/deadline.js';
import type { FractoryError } from '../../runtime/errors.js';
import { budgetExhausted } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { RetryBudget } from '../../runtime/retry-budget.js';
import type { OperationResult } from '../../services/adaptor.js';
import { KeptResult } from '../../services/content.js';
import type { Activities } from './graph/activities.js';
import { FAILURE_BUDGET_MS } from './graph/continuer.js';
import type { Continuer, Origin } from './graph/continuer.js';
import type { Rest } from './graph/continuation.js';
import { stepIdOf } from './graph/step-id.js';
import { KernelInvocationContext } from './invocation-context.js';
import type { KeepOptions, KeptMemory, MemoryAccess } from './memory/access.js';
import { memoriesIn } from './memory/value-content.js';
import type { KernelMetrics } from './metrics.js';
import { OnceSteps } from './once-steps.js';
import { encodeReceipt, nowUs } from './receipts.js';
import { RememberedResults, resultKey } from './remembered-results.js';
import type { Results, Travelling } from './results.js';
import { endStep } from './spans.js';
import { argumentsToPull, perform } from './work.js';
import type { Work } from './work.js';

export interface StepRunnerParts {
  readonly member: string;
  readonly epoch: () => bigint;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KernelMetrics;
  readonly memory: MemoryAccess;
  readonly results: Results;
  readonly activities: Activities;
  readonly continuer: Continuer;
  readonly stopping: AbortSignal;
}

/** Between two tries of one step. */
const BACKOFF = { initialMs: 20, maxMs: 1000 };

/** Performs admitted invocations, and has what comes next invoked with the result. */
export class StepRunner {
  readonly #parts: StepRunnerParts;
  readonly #remembered: RememberedResults;
  readonly #retries: RetryBudget;
  readonly #once: OnceSteps;
  #running = 0;
  #idle: (() => void) | undefined;

  constructor(parts: StepRunnerParts) {
    this.#parts = parts;
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

  /** Results that are remembered. */
  get remembered(): number {
    return this.#remembered.size;
  }

  /** Resolves when nothing runs. */
  async whenIdle(): Promise<void> {
    if (this.#running === 0) return;
    await new Promise<void>((resolve) => {
      this.#idle = resolve;
    });
  }

  forget(run: string, step: string): void {
    this.#remembered.forget(run, step);
    this.#once.forget(run, step);
  }

  /** A new life of the node: what was remembered belonged to the one before. */
  reset(): void {
    this.#remembered.clear();
    this.#once.clear();
  }

  /** What answers at once is continued at once; anything else goes on by itself. */
  start(work: Work): void {
    if (isDoneOnce(work)) {
      void this.#goOnce(work);
      return;
    }
    const remembered = this.#recall(work);
    if (remembered) {
      work.reused = true;
      this.#succeed(work, remembered);
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
        this.#succeed(work, value);
        this.#ended(work);
        return;
      }
      void this.#goOn(work, result, pulls);
    } catch (error) {
      this.#fail(work, error);
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
        this.#succeed(work, value);
      }
    } catch (error) {
      this.#fail(work, error);
    } finally {
      unregister();
      this.#ended(work);
    }
  }

  /** A step that must not be done twice goes on though this use of it is released: another attempt waits for it. Never rejects. */
  async #goOnce(work: Work): Promise<void> {
    this.#running++;
    work.startedAtUs = nowUs();
    const unregister = this.#register(work);
    const { allowance, invocation, deadlineMs, operation } = work;
    const { clock, member } = this.#parts;
    try {
      const { run = '', step = '' } = allowance.step ?? {};
      const key = resultKey(run, step, invocation.capability?.tag ?? new Uint8Array());
      const name = { step: stepIdOf(allowance) ?? operation.spec.name, member };
      const untilMs = allowance.expiresAtMs ?? clock.now() + deadlineMs - clock.monotonicMs();
      const { outcome, isFirst } = this.#once.join(key, name, untilMs, (begins) =>
        this.#performOnce(work, begins),
      );
      work.reused = !isFirst;
      const { value, kept } = await untilAborted(outcome, work.context.signal);
      work.heldBytes = kept ? Number(kept.memory.sizeBytes) : 0;
      if (!work.released) this.#succeed(work, value);
    } catch (error) {
      this.#fail(work, error);
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
      const settled = await this.#settle(work, await untilAborted(perform(work), signal), signal);
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
        return await this.#settle(work, await untilAborted(result, signal), signal);
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

  #recall({ allowance, invocation }: Work): Value | undefined {
    const { step } = allowance;
    if (!step || !invocation.capability || this.#remembered.size === 0) return undefined;
    return this.#remembered.get(resultKey(step.run, step.step, invocation.capability.tag));
  }

  /**
   * Only what took a promise is remembered: what answers at once is done again for less. Nor are memories of other nodes: nobody here hears when
   * they are gone, and a run that is tried again for that would get the same again.
   */
  #remember({ allowance, invocation }: Work, value: Value, kept: KeptMemory | undefined): void {
    const { step } = allowance;
    if (!step || !invocation.capability) return;
    if (!kept && memoriesIn(value).length > 0) return;
    const key = resultKey(step.run, step.step, invocation.capability.tag);
    this.#remembered.set(key, value, kept ? () => kept.isLive : undefined);
  }

  #succeed(work: Work, value: Value): void {
    const { invocation } = work;
    const leftMs = work.deadlineMs - this.#parts.clock.monotonicMs();
    if (leftMs <= 0 && invocation.onSuccess.length > 0) {
      this.#fail(work, budgetExhausted('the time of the run was used up before the next step'));
      return;
    }
    if (work.span) endStep(work.span, { ...work, result: value });
    const rest = this.#rest(work, contentBytesOf(value), leftMs);
    this.#parts.continuer.succeed(invocation.onSuccess, value, rest, originOf(work));
  }

  #fail(work: Work, thrown: unknown): void {
    const { member, log, metrics, continuer, clock } = this.#parts;
    const error = toFractoryError(thrown);
    if (work.span) endStep(work.span, { ...work, error });
    const operation = work.operation.spec.name;
    metrics.failed.inc({ operation, reason: error.reason });
    if (error.code === status.INTERNAL) log.error({ err: thrown, operation }, 'operation failed');
    if (work.released) return;
    if (work.invocation.onFailure.length === 0)
      log.warn({ operation, reason: error.reason, error: error.message }, 'nobody is told');
    const leftMs = work.deadlineMs - clock.monotonicMs();
    const rest = this.#rest(work, 0, Math.max(leftMs, FAILURE_BUDGET_MS));
    const step = stepIdOf(work.allowance) ?? operation;
    const failure: Failure = toFailure(error, { step, member });
    continuer.fail(work.invocation.onFailure, failure, rest);
  }

  #rest(work: Work, bytesOut: number, leftMs: number): Rest {
    const { onFailure, shared, hops, traceparent, attempt } = work.invocation;
    const receipts = this.#receipts(work, bytesOut);
    const budgetMs = Math.max(1, Math.floor(leftMs));
    return { onFailure, shared, receipts, hops, budgetMs, traceparent, attempt };
  }

  #receipts(work: Work, bytesOut: number): readonly Uint8Array[] {
    const { member, epoch, metrics, limits } = this.#parts;
    const computeUs = work.reused ? 0 : Math.max(0, nowUs() - work.startedAtUs - work.pullUs);
    metrics.computeOf(work.operation.spec.name).observe(computeUs / 1e6);
    const { receipts } = work.invocation;
    if (receipts.length >= limits.max_receipts) return receipts;
    return [...receipts, encodeReceipt(work, { member, epoch: epoch() }, computeUs, bytesOut)];
  }
}

const TRANSIENT: ReadonlySet<number> = new Set([
  status.UNAVAILABLE,
  status.RESOURCE_EXHAUSTED,
  status.ABORTED,
]);

/** The result, or the reason of the abort if that comes first: an operation that doesn't listen is not waited for. */
async function untilAborted<T>(result: T | Promise<T>, signal: AbortSignal): Promise<T> {
  if (!(result instanceof Promise)) return result;
  let stopListening = (): void => undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    stopListening = () => {
      signal.removeEventListener('abort', onAbort);
    };
  });
  try {
    return await Promise.race([result, aborted]);
  } catch (error) {
    discard(result);
    throw error;
  } finally {
    stopListening();
  }
}

/** A result that comes too late is given back. */
function discard(late: Promise<unknown>): void {
  late.then(
    (result) => {
      if (result instanceof KeptResult) void result.content[Symbol.asyncDispose]();
    },
    () => undefined,
  );
}

/** Whether nobody may do it a second time; outside of runs nobody can tell one use from another. */
function isDoneOnce({ operation, allowance, invocation }: Work): boolean {
  return !operation.spec.idempotent && allowance.step !== undefined && !!invocation.capability;
}

function originOf({ allowance: { step }, invocation }: Work): Origin | undefined {
  const { capability, attempt } = invocation;
  return step && capability ? { run: step.run, step: step.step, capability, attempt } : undefined;
}
