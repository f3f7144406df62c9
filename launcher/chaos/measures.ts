import { quantile } from '../tax/statistics.js';
import type { Began, ChaosEvent, Faulted, RunEvent } from './events.js';
import type { FaultKind } from './fault-kind.js';

/** What was measured of one fault. Times are ms after it; absent = not seen. */
export interface FaultMeasure {
  readonly fault: number;
  readonly kind: FaultKind;
  readonly target: string;
  readonly type: string;
  /** It led its type. */
  readonly leader: boolean;
  /** After the experiment's beginning. */
  readonly atMs: number;
  readonly healedMs?: number;
  /** Until the last list of members that was looked at was without it. */
  readonly noticedMs?: number;
  /** Until another leader of its type served. */
  readonly newLeaderMs?: number;
  readonly newLeader?: string;
  /** Until the first run that needs its type and was begun, or begun again, after the fault had succeeded. */
  readonly nextRunMs?: number;
  /** Until it was registered and serving again. */
  readonly backMs?: number;
}

/** How the runs of an experiment ended. */
export interface RunTally {
  readonly runs: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Their client never heard an end, or their file isn't there. */
  readonly lost: number;
  /** Their file was written more than once. */
  readonly doubled: number;
  /** Another answer than without faults, or a failure without a true reason. */
  readonly wrong: number;
  /** Took more than one attempt, or were sent more than once. */
  readonly retried: number;
  /** Failures by reason. */
  readonly reasons: Readonly<Record<string, number>>;
}

export interface Failover {
  /** ms; null where no leader was lost. */
  readonly p50: number | null;
  readonly p99: number | null;
}

/** How long after a heal a change of leaders still counts as the fault's. */
const AFTERMATH_MS = 1000;

type Open = { -readonly [K in keyof FaultMeasure]: FaultMeasure[K] };

/** Adds up events, one after the other, in the order of the file. */
export class MeasureBook {
  #began: Began | undefined;
  readonly #faults = new Map<number, Open>();
  readonly #epochs = new Map<number, string | undefined>();
  /** Faults that can still learn something. */
  readonly #open = new Set<Open>();
  readonly #reasons = new Map<string, number>();
  readonly #counts = {
    runs: 0,
    succeeded: 0,
    failed: 0,
    lost: 0,
    doubled: 0,
    wrong: 0,
    retried: 0,
  };

  add(event: ChaosEvent): void {
    switch (event.event) {
      case 'began':
        this.#began = event;
        return;
      case 'fault':
        this.#addFault(event);
        return;
      case 'healed':
      case 'back':
      case 'noticed':
        this.#addTime(event);
        return;
      case 'serves':
        for (const open of this.#open) this.#addLeader(open, event);
        return;
      case 'run':
        this.#addRun(event);
        return;
      case 'found':
        this.#counts[event.outcome]++;
        this.#counts[event.was]--;
        return;
      default:
    }
  }

  fault(fault: number): FaultMeasure | undefined {
    return this.#faults.get(fault);
  }

  faults(): FaultMeasure[] {
    return [...this.#faults.values()];
  }

  tally(): RunTally {
    const reasons = [...this.#reasons].sort(([one], [other]) => one.localeCompare(other, 'en'));
    return { ...this.#counts, reasons: Object.fromEntries(reasons) };
  }

  /** Over the faults that took a leader away. */
  failover(): Failover {
    const times = this.faults()
      .filter(({ newLeaderMs }) => newLeaderMs !== undefined)
      .flatMap(({ nextRunMs }) => (nextRunMs === undefined ? [] : [nextRunMs]));
    if (times.length === 0) return { p50: null, p99: null };
    return { p50: Math.round(quantile(times, 0.5)), p99: Math.round(quantile(times, 0.99)) };
  }

  #addFault({ fault, kind, target, type, leader, atMs, epoch }: Faulted): void {
    for (const open of this.#open) if (open.target === target) this.#open.delete(open);
    const measure: Open = { fault, kind, target, type, leader, atMs };
    this.#faults.set(fault, measure);
    this.#epochs.set(fault, epoch);
    this.#open.add(measure);
  }

  #addTime(event: Extract<ChaosEvent, { event: 'healed' | 'back' | 'noticed' }>): void {
    const measure = this.#faults.get(event.fault);
    if (!measure) return;
    const ms = since(event.atMs, measure);
    if (event.event === 'healed') measure.healedMs = ms;
    // What comes behind another fault of the same member belongs to that.
    else if (!this.#open.has(measure)) return;
    else if (event.event === 'back') measure.backMs = ms;
    else measure.noticedMs = Math.max(measure.noticedMs ?? 0, ms);
  }

  #addLeader(open: Open, event: Extract<ChaosEvent, { event: 'serves' }>): void {
    const { type, epoch, member, atMs } = event;
    if (!open.leader || open.type !== type || open.newLeaderMs !== undefined) return;
    if (epoch === this.#epochs.get(open.fault)) return;
    const ms = since(atMs, open);
    if (open.healedMs !== undefined && ms > open.healedMs + AFTERMATH_MS) return;
    open.newLeaderMs = ms;
    open.newLeader = member;
  }

  #addRun(event: RunEvent): void {
    const { outcome, attempts, sends, reason } = event;
    this.#counts.runs++;
    this.#counts[outcome]++;
    if (attempts > 1 || sends > 1) this.#counts.retried++;
    if (reason !== undefined) this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
    if (outcome !== 'succeeded') return;
    for (const open of this.#open)
      if (open.nextRunMs === undefined && this.#shows(event, open))
        open.nextRunMs = since(event.endMs, open);
  }

  /** Whether the success of a run shows that what a fault took away works again. */
  #shows({ atMs, endMs, kind, attempts, sends }: RunEvent, { atMs: faultMs, type }: Open): boolean {
    if (endMs < faultMs) return false;
    if (atMs < faultMs && attempts === 1 && sends === 1) return false;
    const uses = this.#began?.workloads.find((workload) => workload.kind === kind)?.uses ?? [];
    return type === 'zookeeper' || uses.includes(type);
  }
}

function since(atMs: number, open: Open): number {
  return Math.round(10 * (atMs - open.atMs)) / 10;
}

export function bookOf(events: readonly ChaosEvent[]): MeasureBook {
  const book = new MeasureBook();
  for (const event of events) book.add(event);
  return book;
}
