import { RunState, Topology } from '../../protos/gen/fractory/v1/application.js';
import { Receipt } from '../../protos/gen/fractory/v1/graph.js';
import type { Failure } from '../../protos/gen/fractory/v1/value.js';
import { fromFailure, toFailure } from '../../protos/status.js';
import { AbortScope } from '../../runtime/abort-scope.js';
import { backoffMs } from '../../runtime/backoff.js';
import { sleep } from '../../runtime/deadline.js';
import { budgetExhausted, FractoryError, unavailable } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { noTracer } from '../../runtime/tracing/tracer.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import type { RunRecord } from '../../services/application/run-record.js';
import type { KernelAccess } from '../kernel/device.js';
import type { Outcome } from '../kernel/capabilities/objects.js';
import { isWorthRetrying } from '../kernel/peers.js';
import { placementsOf, plan } from './plan.js';
import { Releases } from './releases.js';
import { ringAttempt } from './ring.js';
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
}

/** Ends a run exactly once: tries it, and again with fresh capabilities while a member was lost and budget is left. */
export class Runner {
  readonly #kernel: KernelAccess;
  readonly #log: Logger;
  readonly #tracer: Tracer;
  readonly #stopping = new AbortController();

  constructor(kernel: KernelAccess, log: Logger, tracer = noTracer) {
    this.#kernel = kernel;
    this.#log = log;
    this.#tracer = tracer;
  }

  /** Never rejects. `parent` = `traceparent` of the call that asked for the run, if it has one. */
  async execute(run: RunRecord, parent = ''): Promise<void> {
    const span = startRun(this.#tracer, run.options, parent);
    const { budgetMs } = run.options;
    const startedAt = performance.now();
    const deadlineMs = Date.now() + budgetMs;
    const scope = new AbortScope(run.cancelSignal, this.#stopping.signal);
    const timer = setTimeout(() => {
      scope.abort(tookTooLong(budgetMs));
    }, budgetMs);
    const releases = new Releases(this.#kernel);
    const traceparent = span.traceparent || parent;
    const ended = await span.run(() =>
      this.#tryUntil(run, { deadlineMs, traceparent, releases }, scope.signal),
    );
    const { attempts } = ended;
    const outcome =
      Date.now() >= deadlineMs ? inTermsOfBudget(ended.outcome, budgetMs) : ended.outcome;
    clearTimeout(timer);
    scope.end();
    const state = stateOf(outcome, run, scope.signal);
    const elapsedUs = BigInt(Math.round((performance.now() - startedAt) * 1000));
    const receipts = decodeReceipts(outcome.receipts, this.#log);
    releases.ended(outcome.kind === 'succeeded', receipts);
    run.add({
      $case: 'ended',
      value: {
        ...{ state, attempts, elapsedUs, receipts },
        result: outcome.kind === 'succeeded' ? outcome.result : undefined,
        failure: outcome.kind === 'failed' ? outcome.failure : undefined,
      },
    });
    this.#log.debug({ run: run.id, state, attempts, ms: Number(elapsedUs) / 1000 }, 'run ended');
    endRun(span, outcome, attempts);
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
    const startedAt = performance.now();
    for (let attempts = 1; ; attempts++) {
      const outcome = await this.#attempt(run, { ...facts, attempt: attempts, cause }, signal);
      const waitedMs = performance.now() - startedAt;
      if (outcome.kind === 'succeeded' || signal.aborted || !isTransient(outcome.failure, waitedMs))
        return { outcome, attempts };
      facts.releases.failed();
      cause = outcome.failure.message;
      this.#log.info({ run: run.id, attempts, cause }, 'run is tried again');
      try {
        await sleep(backoffMs(attempts, BACKOFF), signal);
      } catch (error) {
        // The end of the budget says less than what kept the run from succeeding.
        const failure = run.cancelSignal.aborted ? toFailure(error, NOWHERE) : outcome.failure;
        return { outcome: { ...outcome, failure }, attempts };
      }
    }
  }

  async #attempt(
    run: RunRecord,
    { attempt, cause, deadlineMs, traceparent, releases }: AttemptFacts,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const scope = new AbortScope(signal);
    const stopListening = this.#kernel.onEpoch(() => {
      scope.abort(unavailable('STALE_OWNER', 'the application node registered again'));
    });
    try {
      const { id, graph, ordered, topology } = run.options;
      const planned = await plan(
        this.#kernel,
        { run: id, graph, ordered, deadlineMs, topology },
        scope.signal,
      );
      run.add({
        $case: 'attempted',
        value: { attempt, placements: placementsOf(planned.graph), cause },
      });
      releases.begin(attempt, planned);
      const go = topology === Topology.STAR ? starAttempt : ringAttempt;
      const { signal: whole } = scope;
      return await go(this.#kernel, planned, {
        ...{ run: id, attempt, deadlineMs, traceparent, signal: whole },
      });
    } catch (error) {
      return { kind: 'failed', failure: toFailure(error, NOWHERE), receipts: [] };
    } finally {
      stopListening();
      scope.end();
    }
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

/** How long a run waits for the first member of a type: a node that restarts is back sooner. */
const NO_MEMBER_PATIENCE_MS = 8000;

function isTransient(failure: Failure, waitedMs: number): boolean {
  const error = fromFailure(failure);
  if (error.reason === 'NO_MEMBER') return waitedMs < NO_MEMBER_PATIENCE_MS;
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
