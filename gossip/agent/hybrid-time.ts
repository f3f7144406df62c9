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
    this.#pass(this.#now(), -1);
    return { ms: this.#ms, count: this.#count, by: this.#by };
  }

  /** False where it is too far ahead to be right. */
  witness({ ms, count }: HybridTime): boolean {
    const now = this.#now();
    if (ms > now + MAX_AHEAD_MS) return false;
    if (ms > this.#ms || (ms === this.#ms && count > this.#count)) {
      this.#ms = ms;
      this.#count = count;
    }
    return true;
  }

  #pass(ms: number, count: number): void {
    if (ms > this.#ms) {
      this.#ms = ms;
      this.#count = count + 1;
    } else this.#count++;
  }
}
