import { status } from '@grpc/grpc-js';
import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

import { RunState } from '../../protos/gen/fractory/v1/application.js';
import type { RunRequest } from '../../protos/gen/fractory/v1/application.js';
import { backoffMs } from '../../runtime/backoff.js';
import { AdaptiveLimit } from '../../runtime/adaptive-limit.js';
import type { Clock } from '../../runtime/clock.js';
import { sleep } from '../../runtime/deadline.js';
import { cancelled, FractoryError } from '../../runtime/errors.js';
import { WaitingRoom } from '../../runtime/waiting-room.js';
import type { Turn } from '../../runtime/waiting-room.js';
import type { RunRecord, Seat } from '../../services/application/run-record.js';

export interface RunAdmissionOptions {
  /** Never more runs at a time, however fast they are. */
  readonly maxRuns: number;
  /** Runs that wait for their turn; more are refused. */
  readonly maxWaiting: number;
  readonly clock: Clock;
  readonly registry?: Registry | undefined;
}

/** A run waits for its turn about as long as it takes itself, within these bounds, ms; of one that nobody knows yet: */
const LEAST_PATIENCE_MS = 20;
const MOST_PATIENCE_MS = 2000;
const FIRST_PATIENCE_MS = 1000;
/** A budget below this share of what its kind takes at the very least can't be made. */
const HOPELESS = 0.5;
const MISSING_RETRY_MS = 500;
/** Between two tries of a run that was let in before to come back, ms. */
const COME_BACK = { initialMs: 20, maxMs: 200 };
const LEAST_RETRY_MS = 50;
const MOST_RETRY_MS = 5000;

/** Of one kind no more than one in so many of `max_runs` may wait for a member that is missing, and so many at the least; more are refused. */
const MISSING_SHARE = 8;
const LEAST_MISSING = 4;

/** Kinds of failure that say that somebody further on had too much to do. */
const CROWDED: ReadonlySet<string> = new Set(['QUEUE_FULL', 'LINK_BUSY']);

/**
 * Lets as many runs begin as the data center does without getting slow: the limit follows their latency, a few wait for a short time, and the others are
 * refused at once with word when to come again, before they have cost anything. Runs that wait for a member that is missing don't count: those of other
 * kinds go on.
 */
export class RunAdmission {
  readonly #options: RunAdmissionOptions;
  readonly #limit: AdaptiveLimit;
  readonly #room: WaitingRoom;
  readonly #refused: Counter<'reason'> | undefined;
  /** Runs that were let in and wait for a member that is missing, by kind. */
  readonly #missing = new Map<string, number>();

  constructor(options: RunAdmissionOptions) {
    const { maxRuns, maxWaiting, clock, registry } = options;
    this.#options = options;
    this.#limit = new AdaptiveLimit({ max: maxRuns });
    this.#room = new WaitingRoom({ places: maxWaiting, clock, limit: () => this.#limit.limit });
    if (registry) this.#refused = this.#measure(registry);
  }

  /** Runs that were let in, have not ended and don't wait for a member that is missing. */
  get inside(): number {
    return this.#room.inside;
  }

  get waiting(): number {
    return this.#room.waiting;
  }

  /** Runs that may be under way now. */
  get limit(): number {
    return this.#limit.limit;
  }

  /** Waits for the turn of a run; OVERLOADED where it does not come soon, DEADLINE_EXCEEDED where its budget is hopeless. Give it back by `leave` or `follow`. */
  async enter(kind: string, budgetMs: number, signal: AbortSignal): Promise<RunPlace> {
    const floorMs = this.#limit.floorOf(kind);
    if (floorMs !== undefined && budgetMs < floorMs * HOPELESS)
      throw this.#hopeless(budgetMs, floorMs);
    const missing = this.#missing.get(kind) ?? 0;
    if (missing >= Math.max(LEAST_MISSING, this.#options.maxRuns / MISSING_SHARE))
      throw this.#waited(missing);
    const turn = await this.#turn(patienceFor(floorMs, budgetMs), signal);
    if (turn === 'entered') return this.#place(kind);
    if (signal.aborted) throw signal.reason instanceof Error ? signal.reason : cancelled();
    throw this.#overloaded(turn, floorMs);
  }

  close(): void {
    this.#room.close();
  }

  #turn(patienceMs: number, signal: AbortSignal): Promise<Turn> | Turn {
    if (signal.aborted) return 'left';
    if (this.#room.tryEnter()) return 'entered';
    return new Promise((resolve) => {
      let giveUp = (): void => undefined;
      const onAbort = (): void => {
        giveUp();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      giveUp = this.#room.enter(patienceMs, (turn) => {
        signal.removeEventListener('abort', onAbort);
        resolve(turn);
      });
    });
  }

  #place(kind: string): RunPlace {
    const { clock } = this.#options;
    const startedAtMs = clock.monotonicMs();
    this.#limit.underWay(this.#room.inside);
    let isLeft = false;
    let isAside = false;
    const leave = (): void => {
      if (isLeft) return;
      isLeft = true;
      if (isAside) this.#count(kind, -1);
      else this.#room.leave();
    };
    const isGone = (): boolean => isLeft;
    const seat: Seat = {
      leave: () => {
        if (isLeft || isAside) return;
        isAside = true;
        this.#count(kind, 1);
        this.#room.leave();
      },
      comeBack: async (signal) => {
        if (isLeft || !isAside) return;
        await this.#comeBack(signal);
        // It ended at the same moment.
        if (isGone()) this.#room.leave();
        else this.#count(kind, -1);
        isAside = false;
      },
    };
    return {
      leave,
      follow: (run) => {
        run.occupy(seat);
        const settle = (): void => {
          if (!isLeft) this.#learn(kind, startedAtMs, run);
          leave();
        };
        run.whenEnded(new AbortController().signal).then(settle, settle);
      },
    };
  }

  /** Whoever was let in before waits until there is room. */
  async #comeBack(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const turn = await this.#turn(MOST_PATIENCE_MS, signal);
      if (turn === 'entered') return;
      signal.throwIfAborted();
      await sleep(backoffMs(attempt, COME_BACK), signal);
    }
  }

  #count(kind: string, more: 1 | -1): void {
    const count = (this.#missing.get(kind) ?? 0) + more;
    if (count > 0) this.#missing.set(kind, count);
    else this.#missing.delete(kind);
  }

  /** Only what ran through at the first attempt tells how long its kind takes. */
  #learn(kind: string, startedAtMs: number, { ended }: RunRecord): void {
    if (!ended) return;
    const nowMs = this.#options.clock.monotonicMs();
    const isFirst = ended.attempts === 1;
    if (ended.state === RunState.SUCCEEDED && isFirst)
      this.#limit.ended({ kind, startedAtMs }, nowMs);
    else if (ended.state === RunState.TIMED_OUT && isFirst)
      this.#limit.ended({ kind, startedAtMs, isLate: true }, nowMs);
    else if (CROWDED.has(ended.failure?.reason ?? '')) this.#limit.dropped(nowMs);
  }

  #hopeless(budgetMs: number, floorMs: number): FractoryError {
    this.#refused?.inc({ reason: 'BUDGET_TOO_SHORT' });
    return new FractoryError(
      status.DEADLINE_EXCEEDED,
      'BUDGET_TOO_SHORT',
      `the budget is ${String(budgetMs)} ms, runs of this graph take ${floorMs.toFixed(1)} ms at the least`,
    );
  }

  /** Nobody knows when it comes. */
  #waited(missing: number): FractoryError {
    this.#refused?.inc({ reason: 'OVERLOADED' });
    return new FractoryError(
      status.RESOURCE_EXHAUSTED,
      'OVERLOADED',
      `${String(missing)} runs of this graph wait for a member that is missing`,
      { retryAfterMs: Math.round(MISSING_RETRY_MS * (1 + Math.random())) },
    );
  }

  /** Later the longer runs take, and not all at the same time. */
  #overloaded(turn: Turn, floorMs = LEAST_RETRY_MS): FractoryError {
    this.#refused?.inc({ reason: 'OVERLOADED' });
    const { inside, waiting } = this.#room;
    const soonMs = Math.min(MOST_RETRY_MS, Math.max(LEAST_RETRY_MS, 2 * floorMs));
    const waited =
      turn === 'full' ? `${String(waiting)} wait already` : 'there was no room in time';
    return new FractoryError(
      status.RESOURCE_EXHAUSTED,
      'OVERLOADED',
      `${String(inside)} runs are under way, the limit is ${String(this.#limit.limit)} now, and ${waited}`,
      { retryAfterMs: Math.round(soonMs * (1 + Math.random())) },
    );
  }

  #measure(registry: Registry): Counter<'reason'> {
    const registers = [registry];
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({
        ...{ name, help, registers },
        collect() {
          this.set(read());
        },
      });
    };
    gauge(
      'fractory_run_limit',
      'Runs that may be under way, as found out from their latency',
      () => this.limit,
    );
    gauge('fractory_runs_under_way', 'Runs that were let in and have not ended', () => this.inside);
    gauge('fractory_runs_waiting', 'Runs that wait for their turn', () => this.waiting);
    return new Counter({
      name: 'fractory_runs_refused_total',
      help: 'Runs that were refused before they began, by reason',
      labelNames: ['reason'],
      registers,
    });
  }
}

/** The place of a run among those under way. */
export interface RunPlace {
  /** Nothing is learnt. Idempotent. */
  leave(): void;
  /** Learns from the run's end and leaves with it. */
  follow(run: RunRecord): void;
}

/** What is compared: runs of one graph that run alike. */
export function kindOfRun({
  graph,
  topology,
  durable,
}: Pick<RunRequest, 'graph' | 'topology' | 'durable'>): string {
  const steps = graph?.steps.length ?? 0;
  return `${graph?.name.slice(0, 100) ?? ''}/${String(steps)}/${String(topology)}/${String(durable)}`;
}

function patienceFor(floorMs: number | undefined, budgetMs: number): number {
  if (floorMs === undefined) return Math.min(FIRST_PATIENCE_MS, budgetMs);
  const fair = Math.max(LEAST_PATIENCE_MS, Math.min(MOST_PATIENCE_MS, 2 * floorMs));
  return Math.min(fair, budgetMs - floorMs);
}
