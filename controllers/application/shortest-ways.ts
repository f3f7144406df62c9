import type { Clock } from '../../runtime/clock.js';

/** Ways are forgotten after one to two of these, ms: clocks drift. */
const MEMORY_MS = 60_000;
const MAX_WAYS = 4096;

/**
 * How much later than it could something arrived. The times of a way are told by two clocks that may differ: what all messages from one member to another
 * have in common says nothing, so the shortest of the last minutes counts as none (as NTP's clock filter takes the sample of least delay).
 */
export class ShortestWays {
  readonly #clock: Clock;
  #recent = new Map<string, number>();
  #before = new Map<string, number>();
  #sinceMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sinceMs = clock.monotonicMs();
  }

  lateUs(from: string, to: string, us: number): number {
    this.#age();
    const way = `${from} ${to}`;
    const shortest = Math.min(us, this.#recent.get(way) ?? Infinity);
    this.#recent.set(way, shortest);
    return us - Math.min(shortest, this.#before.get(way) ?? Infinity);
  }

  #age(): void {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#sinceMs < MEMORY_MS && this.#recent.size < MAX_WAYS) return;
    this.#before = this.#recent;
    this.#recent = new Map();
    this.#sinceMs = nowMs;
  }
}
