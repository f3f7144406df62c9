/** Samples that are enough, of all kinds together; and of one kind. */
const ENOUGH = 16;
const ENOUGH_OF_KIND = 4;
/** Longest that a look takes, ms, and longest that the crowd before it may take to go: what is slower by itself is not worth the wait. */
const LONGEST_MS = 1000;
const LONGEST_WAIT_MS = 3000;

interface Seen {
  count: number;
  /** Of the natural logarithms. */
  sum: number;
}

/** A short time with one thing under way at a time, in which it is seen how long each kind of work takes by itself. */
export class LatencyLook {
  readonly #fromMs: number;
  readonly #seen = new Map<string, Seen>();
  #samples = 0;
  /** When the first thing began that had no crowd beside it. */
  #begunAtMs: number | undefined;

  constructor(fromMs: number) {
    this.#fromMs = fromMs;
  }

  /** Counts only what has begun since the look did: what else ends was in a crowd. The first one still had the last of it beside it. */
  sample(kind: string, startedAtMs: number, ms: number): void {
    if (startedAtMs < this.#fromMs) return;
    if (this.#begunAtMs === undefined) {
      this.#begunAtMs = startedAtMs;
      return;
    }
    const seen = this.#seen.get(kind) ?? { count: 0, sum: 0 };
    this.#seen.set(kind, seen);
    seen.count++;
    seen.sum += Math.log(Math.max(ms, 0.01));
    this.#samples++;
  }

  isOver(nowMs: number): boolean {
    if (this.#begunAtMs === undefined) return nowMs - this.#fromMs >= LONGEST_WAIT_MS;
    return this.#samples >= ENOUGH || nowMs - this.#begunAtMs >= LONGEST_MS;
  }

  /** Geometric means, ms, of kinds that were seen often enough. */
  floors(): Map<string, number> {
    const floors = new Map<string, number>();
    for (const [kind, { count, sum }] of this.#seen)
      if (count >= ENOUGH_OF_KIND) floors.set(kind, Math.exp(sum / count));
    return floors;
  }
}
