import type { Clock } from '../../runtime/clock.js';

interface Entry {
  readonly atMs: number;
  /** Of equal times the one that was asked for first comes first. */
  readonly order: number;
  callback: (() => void) | undefined;
}

/** A clock that goes from one thing to do to the next, as fast as they are done: a heap of what is due. */
export class VirtualTime implements Clock {
  readonly #heap: Entry[] = [];
  #nowMs = 0;
  #order = 0;

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const entry: Entry = { atMs: this.#nowMs + delayMs, order: this.#order++, callback };
    this.#push(entry);
    return () => {
      // It stays in the heap and does nothing: to look for it would cost more.
      entry.callback = undefined;
    };
  }

  /** Moves on to this time and does what falls due until then. */
  runUntil(untilMs: number): void {
    for (let first = this.#heap[0]; first && first.atMs <= untilMs; first = this.#heap[0]) {
      this.#pop();
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.callback?.();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (!above || !isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (!last || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (!left) break;
      if (right && isBefore(right, left)) child++;
      const lower = heap[child];
      if (!lower || !isBefore(lower, last)) break;
      heap[at] = lower;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(one: Entry, other: Entry): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}
