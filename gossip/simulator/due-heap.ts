import type { Host } from './virtual-time.js';

/** Something that is to be done at a time. */
export interface Due {
  atMs: number;
  /** Of equal times the one that was asked for first comes first. */
  order: number;
  /** Undefined = it was cancelled. */
  callback: (() => void) | undefined;
  readonly host: Host | undefined;
  /** Of the same slot. */
  next: Due | undefined;
}

export function isBefore(one: Due, other: Due): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order);
}

/** What is to be done, the soonest first. */
export class DueHeap {
  readonly #heap: Due[] = [];

  get first(): Due | undefined {
    return this.#heap[0];
  }

  push(due: Due): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (!above || !isBefore(due, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = due;
  }

  /** Removes the first. */
  pop(): void {
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
