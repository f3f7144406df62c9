import { LatencyFloors } from './latency-floors.js';
import { LatencyLook } from './latency-look.js';

export interface AdaptiveLimitOptions {
  /** Never fewer at a time. Default 4. */
  readonly min?: number;
  /** Never more at a time. Default 1,024. */
  readonly max?: number;
  /** At the beginning. Default 20. */
  readonly initial?: number;
}

/** Work that has ended. */
export interface Ended {
  /** Only the latencies of one kind are compared. */
  readonly kind: string;
  readonly startedAtMs: number;
  /** It ran out of time: its latency is not how long it takes. */
  readonly isLate?: boolean;
}

/** How long what ended is gathered before the limit moves, ms; longer where it takes longer: what a move does is not seen before. */
const WINDOW_MS = 100;
const LONGEST_WINDOW_MS = 1000;
/** At least so many have to have ended. */
const WINDOW_SAMPLES = 8;
/** Latency over that of idle which is still no overload. */
const TOLERANCE = 2;
/** A window moves the limit by no more than this factor downward: one slow second must not close the door. */
const STEEPEST = 0.5;
/** How often the floor is looked at while the limit is used to the full, ms: then nothing else tells what idle is. */
const LOOK_EVERY_MS = 30_000;

/**
 * How much may be under way at a time, found out from how long it takes: a pure state machine. After each window the limit becomes
 * `limit * gradient + sqrt(limit)`, where gradient = tolerance * floor / latency, at most 1 and at least 1/2: the gradient limits of Netflix'
 * concurrency-limits (Landau, Thurston, Bozarth: Performance Under Load, 2018) and of Envoy's adaptive concurrency filter, from which the square root as
 * headroom and the regular look at the floor come. Two things of TCP: until the first overload it doubles (slow start), and a limit that is not used to
 * the half does not grow (congestion window validation, RFC 7661).
 */
export class AdaptiveLimit {
  readonly #min: number;
  readonly #max: number;
  readonly #initial: number;
  readonly #floors = new LatencyFloors();
  #limit: number;
  #slowness: number[] = [];
  #drops = 0;
  #totalMs = 0;
  #count = 0;
  #peak = 0;
  #windowFromMs: number | undefined;
  #lookedAtMs = -Infinity;
  #look: LatencyLook | undefined;
  #isSlowStart = true;
  #isOverloaded = false;

  constructor(options: AdaptiveLimitOptions = {}) {
    const { min = 4, max = 1024, initial = 20 } = options;
    this.#min = Math.min(min, max);
    this.#max = max;
    this.#initial = Math.max(this.#min, Math.min(initial, max));
    this.#limit = this.#initial;
  }

  /** How much may be under way now. */
  get limit(): number {
    return this.#look ? 1 : Math.floor(this.#limit);
  }

  /** Whether the last window was slower than it should be. */
  get isOverloaded(): boolean {
    return this.#isOverloaded;
  }

  /** How long a kind takes with next to nothing beside it, ms; undefined while that is not known. */
  floorOf(kind: string): number | undefined {
    return this.#floors.of(kind);
  }

  /** So many are under way now. */
  underWay(count: number): void {
    this.#peak = Math.max(this.#peak, count);
  }

  /** Something has ended in good order, or for want of time. */
  ended({ kind, startedAtMs, isLate = false }: Ended, nowMs: number): void {
    const ms = nowMs - startedAtMs;
    const slowness = isLate
      ? this.#floors.slowness(kind, ms)
      : this.#floors.sample(kind, ms, nowMs);
    this.#totalMs += ms;
    this.#count++;
    if (slowness !== undefined) this.#slowness.push(slowness);
    if (!isLate) this.#look?.sample(kind, startedAtMs, ms);
    this.#step(nowMs);
  }

  /** Something was turned away further on: there was too much, however fast the rest was. */
  dropped(nowMs: number): void {
    this.#drops++;
    this.#step(nowMs);
  }

  #step(nowMs: number): void {
    this.#windowFromMs ??= nowMs;
    if (this.#look) {
      if (!this.#look.isOver(nowMs)) return;
      for (const [kind, ms] of this.#look.floors()) this.#floors.set(kind, ms);
      this.#look = undefined;
      this.#lookedAtMs = nowMs;
    } else {
      const seen = this.#slowness.length + this.#drops;
      const isFull = this.#peak >= this.#limit;
      const mayLook = isFull && nowMs - this.#lookedAtMs >= LOOK_EVERY_MS;
      if (nowMs - this.#windowFromMs < this.#windowMs() || (seen < WINDOW_SAMPLES && !mayLook))
        return;
      if (mayLook) this.#look = new LatencyLook(nowMs);
      else this.#move();
    }
    this.#windowFromMs = nowMs;
    this.#slowness = [];
    this.#drops = 0;
    this.#totalMs = 0;
    this.#count = 0;
    this.#peak = 0;
  }

  #windowMs(): number {
    const meanMs = this.#count === 0 ? 0 : this.#totalMs / this.#count;
    return Math.min(LONGEST_WINDOW_MS, Math.max(WINDOW_MS, meanMs));
  }

  #move(): void {
    const gradient = this.#gradient();
    this.#isOverloaded = gradient < 1;
    this.#limit = Math.max(this.#min, Math.min(this.#max, this.#next(gradient)));
  }

  #gradient(): number {
    // What was dropped took longer than anything that was not.
    const all = [...this.#slowness, ...Array.from({ length: this.#drops }, () => Infinity)];
    all.sort((a, b) => a - b);
    const median = all[Math.floor(all.length / 2)] ?? 1;
    return Math.max(STEEPEST, Math.min(1, TOLERANCE / median));
  }

  #next(gradient: number): number {
    const limit = this.#limit;
    if (gradient < 1) {
      this.#isSlowStart = false;
      return limit * gradient + Math.sqrt(limit * gradient);
    }
    if (this.#isSlowStart && this.#peak >= limit) return 2 * limit;
    if (this.#peak >= limit / 2) return limit + Math.sqrt(limit);
    // What was allowed in a busy time says nothing of the next one.
    return limit > this.#initial ? Math.max(this.#initial, limit - Math.sqrt(limit)) : limit;
  }
}
