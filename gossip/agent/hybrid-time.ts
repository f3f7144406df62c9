import { WireError } from '../wire/wire-error.js';

/**
 * A time that never goes back, close to the wall clock, and later than all that was heard of: a hybrid logical clock (Kulkarni et al., 2014). Ties are broken by the
 * name of who wrote.
 */
export interface HybridTime {
  /** Wall clock, ms since 1970. */
  readonly ms: number;
  /** Counts what happened in the same millisecond. */
  readonly count: number;
  readonly by: string;
}

export function isLater(one: HybridTime, other: HybridTime): boolean {
  if (one.ms !== other.ms) return one.ms > other.ms;
  if (one.count !== other.count) return one.count > other.count;
  return one.by > other.by;
}

/** Clocks of machines may differ by this much, ms. What comes from further ahead would win over everything for long: it is refused. */
export const MAX_AHEAD_MS = 60_000;

/** Of what happens in one millisecond; after it the next one begins early. */
export const MAX_COUNT = 2 ** 32 - 1;

export class HybridClock {
  readonly #now: () => number;
  readonly #by: string;
  #ms = 0;
  #count = 0;

  /** `now`: ms since 1970. */
  constructor(by: string, now: () => number) {
    this.#by = by;
    this.#now = now;
  }

  next(): HybridTime {
    const now = this.#now();
    if (now > this.#ms || this.#count === MAX_COUNT) {
      this.#ms = Math.max(now, this.#ms + 1);
      this.#count = 0;
    } else this.#count++;
    return { ms: this.#ms, count: this.#count, by: this.#by };
  }

  /** Throws a WireError where it is too far ahead to be right. */
  witness({ ms, count }: HybridTime): void {
    const last = this.#now() + MAX_AHEAD_MS;
    if (ms > last) throw new WireError('too_large', `${String(ms)} ms, at most ${String(last)}`);
    if (ms > this.#ms || (ms === this.#ms && count > this.#count)) {
      this.#ms = ms;
      this.#count = count;
    }
  }
}
