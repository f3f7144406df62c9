import type { Clock } from '../../runtime/clock.js';
import type { MemberKey } from './directory.js';

/** What was seen of a member in the course of ordinary work. */
export type Observation =
  | {
      readonly kind: 'done';
      /** What it did: only the same is compared among members. */
      readonly operation: string;
      readonly ms: number;
    }
  /** It did something, or refused with good reason: how long that took says nothing. */
  | { readonly kind: 'answered' }
  /** It was to blame: gone, late, or broken inside. A refusal for want of room is no failure: whoever is full must not be replaced by who will be. */
  | { readonly kind: 'failed' };

/** Where a member stands with those who call it. */
export type Standing = 'trusted' | 'ejected' | 'probed';

export interface OutliersOptions {
  readonly clock: Clock;
  /** How many members of a type are registered. */
  readonly count: (type: string) => number;
  /** Hears when a member is passed over, and why, and when it is taken back. */
  readonly onChange?: (member: MemberKey, standing: Standing, cause: string) => void;
}

/** Failures in a row before a member is passed over: as many as Envoy takes. */
const FAILURES = 5;
/** A member is slow whose median is so many times that of the others, and longer by so many ms. */
const SLOW_FACTOR = 3;
const SLOW_MS = 10;
/** Samples of an operation that are looked at, and how many there must be. */
const SAMPLES = 16;
const MIN_SAMPLES = 8;
/** Older samples say nothing any more. */
const FRESH_MS = 30_000;
/** Operations of a member whose times are remembered. */
const MAX_OPERATIONS = 64;
/** The first ejection; the next ones take as many times as long. */
const EJECTION_MS = 5000;
const MAX_EJECTION_MS = 60_000;
/** Good service for so long makes up for all ejections before. */
const REHABILITATION_MS = 60_000;
/** Probes that must go well. */
const GOOD_PROBES = 3;
/** How long a probe may go without a result before there is another. */
const PROBE_MS = 5000;

interface Times {
  readonly recent: number[];
  next: number;
  atMs: number;
}

interface Known {
  readonly key: MemberKey;
  readonly type: string;
  readonly times: Map<string, Times>;
  failures: number;
  standing: Standing;
  ejections: number;
  /** While ejected: until when. While trusted: since when. */
  atMs: number;
  probedAtMs: number | undefined;
  goodProbes: number;
}

/** A member as far as it matters here. */
export interface Candidate extends MemberKey {
  readonly type: string;
}

const nameOf = ({ id, epoch }: MemberKey): string => `${id}@${String(epoch)}`;

/**
 * Passes over members that fail or are slow while others of their type are not: passive outlier detection as in Envoy and gRPC (proposal A50): failures
 * in a row, ejection for a time that grows with each, never more than half of a type. Slowness is judged as Cassandra's dynamic snitch does, by the times
 * of the same work at the others. Back comes a member as through the half-open circuit of Nygard's Release It!: one probe at a time, of ordinary work.
 */
export class Outliers {
  readonly #options: OutliersOptions;
  readonly #known = new Map<string, Known>();

  constructor(options: OutliersOptions) {
    this.#options = options;
  }

  standingOf(member: MemberKey): Standing {
    return this.#known.get(nameOf(member))?.standing ?? 'trusted';
  }

  observe(member: Candidate, observation: Observation): void {
    const known = this.#of(member);
    if (known.standing === 'ejected') return;
    if (observation.kind === 'failed') this.#failed(known);
    else if (observation.kind === 'done') this.#done(known, observation.operation, observation.ms);
    else this.#answered(known);
  }

  /** Those of one type that may be used now; all where too few would be left. */
  usable<M extends Candidate>(members: readonly M[]): readonly M[] {
    if (this.#known.size === 0) return members;
    const out = members.filter((member) => this.#isOut(member));
    if (out.length === 0) return members;
    // Members may have left since the others were ejected.
    if (out.length > mostOut(members.length)) return members;
    return members.filter((member) => !out.includes(member));
  }

  /** The member that is to be probed by the next piece of work, if one is; it counts as begun. */
  probe<M extends Candidate>(members: readonly M[]): M | undefined {
    if (this.#known.size === 0) return undefined;
    const nowMs = this.#options.clock.monotonicMs();
    for (const member of members) {
      const known = this.#known.get(nameOf(member));
      if (!known || known.standing === 'trusted') continue;
      if (known.standing === 'ejected') {
        if (nowMs < known.atMs) continue;
        this.#become(known, 'probed', 'its time is over');
      }
      if (known.probedAtMs !== undefined && nowMs - known.probedAtMs < PROBE_MS) continue;
      known.probedAtMs = nowMs;
      return member;
    }
    return undefined;
  }

  /** Forgets members in lives that are over. */
  retain(present: ReadonlySet<string>): void {
    for (const name of [...this.#known.keys()]) if (!present.has(name)) this.#known.delete(name);
  }

  #isOut(member: MemberKey): boolean {
    return this.standingOf(member) !== 'trusted';
  }

  #of({ id, epoch, type }: Candidate): Known {
    const name = nameOf({ id, epoch });
    let known = this.#known.get(name);
    if (!known) {
      known = {
        ...{ key: { id, epoch }, type, times: new Map(), failures: 0, standing: 'trusted' },
        ...{ ejections: 0, atMs: this.#options.clock.monotonicMs() },
        ...{ probedAtMs: undefined, goodProbes: 0 },
      };
      this.#known.set(name, known);
    }
    return known;
  }

  #failed(known: Known): void {
    known.failures++;
    if (known.standing === 'probed') this.#eject(known, 'the probe failed');
    else if (known.failures >= FAILURES)
      this.#eject(known, `${String(known.failures)} failures in a row`);
  }

  #done(known: Known, operation: string, ms: number): void {
    known.failures = 0;
    const slow = this.#slowness(known, operation, [ms]);
    if (known.standing === 'probed') {
      known.probedAtMs = undefined;
      if (slow !== undefined) this.#eject(known, `the probe of ${slow}`);
      else if (++known.goodProbes >= GOOD_PROBES)
        this.#become(known, 'trusted', 'probes went well');
      return;
    }
    const times = this.#add(known, operation, ms);
    if (times.recent.length < MIN_SAMPLES || times.next % (SAMPLES / 4) !== 0) return;
    const cause = this.#slowness(known, operation, times.recent);
    if (cause !== undefined) this.#eject(known, cause);
  }

  #answered(known: Known): void {
    known.failures = 0;
    if (known.standing !== 'probed') return;
    known.probedAtMs = undefined;
    if (++known.goodProbes >= GOOD_PROBES) this.#become(known, 'trusted', 'probes went well');
  }

  #add(known: Known, operation: string, ms: number): Times {
    const nowMs = this.#options.clock.monotonicMs();
    let times = known.times.get(operation);
    if (!times || nowMs - times.atMs > FRESH_MS) {
      times = { recent: [], next: 0, atMs: nowMs };
      if (known.times.size >= MAX_OPERATIONS) known.times.clear();
      known.times.set(operation, times);
    }
    times.recent[times.next % SAMPLES] = ms;
    times.next++;
    times.atMs = nowMs;
    return times;
  }

  /** Why these times of an operation are slow by the measure of the others of the type; undefined if they are not. */
  #slowness(known: Known, operation: string, own: readonly number[]): string | undefined {
    const nowMs = this.#options.clock.monotonicMs();
    const others: number[] = [];
    for (const other of this.#known.values()) {
      if (other === known || other.type !== known.type || other.standing !== 'trusted') continue;
      const times = other.times.get(operation);
      if (!times || times.recent.length < MIN_SAMPLES || nowMs - times.atMs > FRESH_MS) continue;
      others.push(median(times.recent));
    }
    if (others.length === 0) return undefined;
    const [mine, theirs] = [median(own), median(others)];
    if (mine < theirs * SLOW_FACTOR || mine - theirs < SLOW_MS) return undefined;
    return `${operation} takes ${mine.toFixed(1)} ms, at the others ${theirs.toFixed(1)} ms`;
  }

  #eject(known: Known, cause: string): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (known.standing === 'trusted') {
      if (nowMs - known.atMs >= REHABILITATION_MS) known.ejections = 0;
      if (this.#outOf(known.type) >= mostOut(this.#options.count(known.type))) return;
    }
    known.ejections++;
    this.#become(known, 'ejected', cause);
    known.atMs = nowMs + Math.min(MAX_EJECTION_MS, EJECTION_MS * known.ejections);
  }

  #become(known: Known, standing: Standing, cause: string): void {
    known.standing = standing;
    known.failures = 0;
    known.goodProbes = 0;
    known.probedAtMs = undefined;
    known.times.clear();
    known.atMs = this.#options.clock.monotonicMs();
    this.#options.onChange?.(known.key, standing, cause);
  }

  #outOf(type: string): number {
    let out = 0;
    for (const known of this.#known.values())
      if (known.type === type && known.standing !== 'trusted') out++;
    return out;
  }
}

/** How many of so many may be passed over at a time. */
const mostOut = (members: number): number => Math.floor(members / 2);

function median(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? 0;
}
