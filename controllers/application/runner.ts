import { randomInt } from 'node:crypto';

import { RunState, Topology } from '../../protos/gen/fractory/v1/application.js';
import type { RunEnded } from '../../protos/gen/fractory/v1/application.js';
import { Receipt } from '../../protos/gen/fractory/v1/graph.js';
import type { PinnedStep } from '../../protos/gen/fractory/v1/journal.js';
import type { Failure } from '../../protos/gen/fractory/v1/value.js';
import { fromFailure, toFailure, toFractoryError } from '../../protos/status.js';
import { AbortScope } from '../../runtime/abort-scope.js';
import { backoffMs } from '../../runtime/backoff.js';
import { systemClock } from '../../runtime/clock.js';
import { budgetExhausted, FractoryError, unavailable } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { noTracer } from '../../runtime/tracing/tracer.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import type { RunRecord } from '../../services/application/run-record.js';
import { MARKS } from '../kernel/capabilities/token.js';
import type { KernelAccess } from '../kernel/device.js';
import type { Outcome } from '../kernel/capabilities/objects.js';
import { isWorthRetrying } from '../kernel/peers.js';
import { Retries } from '../kernel/retries.js';
import { Observations } from './observations.js';
import { pinsOf } from './pins.js';
import { placementsOf, plan } from './plan.js';
import type { Plan } from './plan.js';
import { Releases } from './releases.js';
import { ringAttempt } from './ring.js';
import type { RunKeeper } from './run-keeper.js';
import { endRun, startRun } from './run-span.js';
import { starAttempt } from './star.js';

/** Waits between attempts: short, since a lost member is passed over at once. */
const BACKOFF = { initialMs: 20, maxMs: 500 };

interface AttemptFacts {
  /** Counts from 1. */
  readonly attempt: number;
  /** Why the one before failed. */
  readonly cause: string;
  readonly deadlineMs: number;
  readonly traceparent: string;
  readonly releases: Releases;
  readonly keeper: RunKeeper | undefined;
  /** Where steps are done that must not be done twice, from the first attempt with such steps on. */
  readonly pins: { steps: readonly PinnedStep[] };
  readonly mark: number | undefined;
}

/**
 * Ends a run exactly once: tries it, and again with fresh capabilities while a member was lost and budget is left. A run that is abandoned does not end here:
 * its keeper, if it has one, sees to it that it goes on elsewhere.
 */
export class Runner {
  readonly #kernel: KernelAccess;
  readonly #retries: Retries;
  readonly #observations: Observations;
  readonly #log: Logger;
  readonly #tracer: Tracer;
  readonly #stopping = new AbortController();

  /** `onRetry` hears of each attempt at a run beyond the first. */
  constructor(
    kernel: KernelAccess,
    log: Logger,
    tracer = noTracer,
    onRetry: () => void = () => undefined,
  ) {
    this.#kernel = kernel;
    this.#retries = new Retries({
      onNews: (listener) => kernel.onMembers(listener),
      onRetry,
    });
    this.#observations = new Observations(kernel, systemClock);
    this.#log = log;
    this.#tracer = tracer;
  }

  /**
   * Resolves when the run has ended or is abandoned; never rejects. `parent` = `traceparent` of the call that asked for the run, if it has one. `keeper`:
   * writes down what outlives this node.
   */
  async execute(run: RunRecord, parent = '', keeper?: RunKeeper): Promise<void> {
    this.#retries.begin();
    const span = startRun(this.#tracer, run.options, parent);
    const { budgetMs, startedAtMs } = run.options;
    const before = keeper && keeper.attemptBase > 0 ? Math.max(0, Date.now() - startedAtMs) : 0;
    const startedAt = performance.now() - before;
    const deadlineMs = run.options.deadlineMs ?? Date.now() + budgetMs;
    const scope = new AbortScope(run.cancelSignal, run.abandonSignal, this.#stopping.signal);
    const timer = setTimeout(
      () => {
        scope.abort(tookTooLong(budgetMs));
      },
      Math.max(0, deadlineMs - Date.now()),
    );
    const pins = { steps: keeper?.pinned ?? [] };
    // A client whose node went sends a plain run again: same id, often the same deadline. What is left of this execution, its releases above all, is not about that one.
    const mark = keeper ? undefined : randomInt(MARKS);
    const releases = new Releases(this.#kernel);
    const traceparent = span.traceparent || parent;
    const ended = await span.run(() =>
      this.#tryUntil(run, { deadlineMs, traceparent, releases, keeper, pins, mark }, scope.signal),
    );
    const attempts = ended.attempts + (keeper?.attemptsBefore ?? 0);
    const outcome =
      Date.now() >= deadlineMs ? inTermsOfBudget(ended.outcome, budgetMs) : ended.outcome;
    clearTimeout(timer);
    scope.end();
    const state = stateOf(outcome, run, scope.signal);
    const elapsedUs = BigInt(Math.round((performance.now() - startedAt) * 1000));
    const receipts = decodeReceipts(outcome.receipts, this.#log);
    this.#observations.receipts(receipts);
    const value: RunEnded = {
      ...{ state, attempts, elapsedUs, receipts },
      result: outcome.kind === 'succeeded' ? outcome.result : undefined,
      failure: outcome.kind === 'failed' ? outcome.failure : undefined,
    };
    if (await this.#keep(run, value, keeper)) {
      // What is remembered of steps is needed until the end is written: whoever takes the run up before then does them again.
      releases.ended(outcome.kind === 'succeeded', receipts);
      run.add({ $case: 'ended', value });
      this.#log.debug({ run: run.id, state, attempts, ms: Number(elapsedUs) / 1000 }, 'run ended');
    } else if (!keeper) releases.ended(false, receipts);
    endRun(span, outcome, attempts);
  }

  /** Whether the run ends here: its end is written down, if it has to be. */
  async #keep(run: RunRecord, ended: RunEnded, keeper: RunKeeper | undefined): Promise<boolean> {
    if (run.isAbandoned) return false;
    try {
      await keeper?.end(ended);
    } catch (error) {
      this.#log.warn({ err: error, run: run.id }, 'the end of a run was not written down');
      run.abandon(toFractoryError(error));
    }
    return !run.isAbandoned;
  }

  /** Ends all runs as failed: their node is going. */
  stop(): void {
    this.#stopping.abort(unavailable('NODE_STOPPING', 'the application node is stopping'));
  }

  async #tryUntil(
    run: RunRecord,
    facts: Omit<AttemptFacts, 'attempt' | 'cause'>,
    signal: AbortSignal,
  ): Promise<{ outcome: Outcome; attempts: number }> {
    let cause = '';
    let missingSince: number | undefined;
    for (let attempts = 1; ; attempts++) {
      const outcome = await this.#attempt(run, { ...facts, attempt: attempts, cause }, signal);
      const isMissing = outcome.kind === 'failed' && outcome.failure.reason === 'NO_MEMBER';
      missingSince = isMissing ? (missingSince ?? performance.now()) : undefined;
      const waitedMs = performance.now() - (missingSince ?? performance.now());
      if (outcome.kind === 'succeeded' || signal.aborted || !isTransient(outcome.failure, waitedMs))
        return { outcome, attempts };
      this.#observations.failure(outcome.failure);
      facts.releases.failed();
      if (isMissing) run.stepAside();
      cause = outcome.failure.message;
      this.#log.info({ run: run.id, attempts, cause }, 'run is tried again');
      try {
        const leftMs = facts.deadlineMs - Date.now();
        await this.#retries.pause(backoffMs(attempts, BACKOFF), signal, leftMs / 2);
      } catch (error) {
        // The end of the budget says less than what kept the run from succeeding.
        const failure = run.cancelSignal.aborted ? toFailure(error, NOWHERE) : outcome.failure;
        return { outcome: { ...outcome, failure }, attempts };
      }
    }
  }

  async #attempt(run: RunRecord, facts: AttemptFacts, signal: AbortSignal): Promise<Outcome> {
    const { deadlineMs, traceparent, pins, mark } = facts;
    const scope = new AbortScope(signal);
    const stopListening = this.#kernel.onEpoch(() => {
      scope.abort(unavailable('STALE_OWNER', 'the application node registered again'));
    });
    try {
      const { id, graph, ordered, topology } = run.options;
      const planned = await plan(
        this.#kernel,
        { run: id, graph, ordered, deadlineMs, topology, pinned: pins.steps, mark },
        scope.signal,
      );
      await run.goOn(scope.signal);
      await this.#pin(planned, facts, scope.signal);
      const attempt = this.#begin(run, planned, facts);
      const go = topology === Topology.STAR ? starAttempt : ringAttempt;
      const { signal: whole } = scope;
      return await go(this.#kernel, planned, {
        ...{ run: id, attempt, deadlineMs, traceparent, signal: whole },
      });
    } catch (error) {
      return { kind: 'failed', failure: toFailure(error, placeOf(error)), receipts: [] };
    } finally {
      stopListening();
      scope.end();
    }
  }

  /** From now on steps that must not be done twice have their places, and whoever takes the run up knows them. */
  async #pin(
    { graph }: Plan,
    { pins, keeper, attempt }: AttemptFacts,
    signal: AbortSignal,
  ): Promise<void> {
    if (pins.steps.length > 0) return;
    const steps = pinsOf(graph);
    if (steps.length === 0) return;
    await keeper?.pin(attempt + keeper.attemptsBefore, steps, signal);
    pins.steps = steps;
  }

  /** Tells that an attempt begins, and returns its number for invocations. */
  #begin(
    run: RunRecord,
    planned: Plan,
    { attempt, cause, releases, keeper }: AttemptFacts,
  ): number {
    const { attemptBase = 0, attemptsBefore = 0 } = keeper ?? {};
    const placements = placementsOf(planned.graph);
    run.add({
      $case: 'attempted',
      value: { attempt: attemptsBefore + attempt, placements, cause },
    });
    releases.begin(attemptBase + attempt, planned, attemptsBefore + attempt === 1);
    if (attempt === 1 && attemptBase > 0) releases.takeOver(attemptBase);
    return attemptBase + attempt;
  }
}

/** Paths that meet bring the receipts of what lay before they parted twice. Those that nobody can read are left out: a run ends whatever they are. */
function decodeReceipts(encoded: readonly Uint8Array[], log: Logger): Receipt[] {
  const distinct = new Map(
    encoded.map((bytes) => [
      Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'),
      bytes,
    ]),
  );
  return [...distinct.values()].flatMap((bytes) => {
    try {
      return [Receipt.decode(bytes)];
    } catch (error) {
      log.warn({ err: error }, 'a receipt is not readable');
      return [];
    }
  });
}

const NOWHERE = { step: '', member: '' };

/** The step and member that an error is about, if it is about one. */
function placeOf(thrown: unknown): typeof NOWHERE {
  if (!(thrown instanceof FractoryError) || thrown.reason !== 'STEP_MAY_BE_DONE') return NOWHERE;
  const { step = '', member = '' } = thrown.metadata;
  return { step, member };
}

/** How long a run waits for a member of a type that nobody has seen here, from when it was missed: it may be about to start. */
const NO_MEMBER_PATIENCE_MS = 8000;
/** A type that was here so lately is coming back: a run waits for it as long as it has time. */
const LATELY_MS = 60_000;

function isTransient(failure: Failure, waitedMs: number): boolean {
  const error = fromFailure(failure);
  if (error.reason === 'NO_MEMBER') {
    const { missing_ms: missingMs } = error.metadata;
    const wasHereLately = missingMs !== undefined && Number(missingMs) < LATELY_MS;
    return wasHereLately || waitedMs < NO_MEMBER_PATIENCE_MS;
  }
  // A one-shot reply or a capability that is gone belongs to a life that has ended.
  return isWorthRetrying(error) || error.reason === 'CAPABILITY_REVOKED';
}

function tookTooLong(budgetMs: number): FractoryError {
  return budgetExhausted(`the run took longer than its budget of ${String(budgetMs)} ms`);
}

/** The capabilities of a run expire with its budget: at its end, the owner of a step may notice first. */
function inTermsOfBudget(outcome: Outcome, budgetMs: number): Outcome {
  if (outcome.kind === 'succeeded' || outcome.failure.reason !== 'CAPABILITY_EXPIRED')
    return outcome;
  const { step, member } = outcome.failure;
  return { ...outcome, failure: toFailure(tookTooLong(budgetMs), { step, member }) };
}

function stateOf(outcome: Outcome, run: RunRecord, { reason }: AbortSignal): RunState {
  if (outcome.kind === 'succeeded') return RunState.SUCCEEDED;
  if (run.cancelSignal.aborted) return RunState.CANCELLED;
  const aborted = reason instanceof FractoryError ? reason.reason : '';
  const isLate = [aborted, outcome.failure.reason].some((one) => TIME_IS_UP.has(one));
  return isLate ? RunState.TIMED_OUT : RunState.FAILED;
}

/** Reasons that the kernel and the runner give when no time is left; operations give others. */
const TIME_IS_UP: ReadonlySet<string> = new Set([
  'BUDGET_EXHAUSTED',
  'CAPABILITY_EXPIRED',
  'JOIN_INCOMPLETE',
]);
