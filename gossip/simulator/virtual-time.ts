import type { Clock } from '../../runtime/clock.js';
import { DueHeap, isBefore } from './due-heap.js';
import type { Due } from './due-heap.js';

/** A process that may be stopped: what falls due meanwhile waits. */
export interface Host {
  /** Until when it stands still; at or before now = it runs. */
  readonly pausedUntilMs: number;
  /** Called before each thing that it does. */
  wakes(): void;
}

const SLOTS_PER_MS = 8;
/** About 4 s: most timers of the protocol are shorter. A power of two. */
const SLOTS = 2 ** 15;

/**
 * A clock that goes from one thing to do to the next, as fast as they are done. A wheel: what falls due in the next seconds stands in slots of an eighth of a millisecond, which
 * are put in order when their time comes; the rest waits in a heap.
 */
export class VirtualTime implements Clock {
  readonly #slots: (Due | undefined)[] = new Array<Due | undefined>(SLOTS).fill(undefined);
  readonly #far = new DueHeap();
  /** What falls due in the slot that is being done, in order, from `#next` on. */
  #current: Due[] = [];
  #next = 0;
  /** The slot that is being done, counted from the beginning. */
  #slot = 0;
  #nowMs = 0;
  #order = 0;

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    return this.scheduleOn(undefined, delayMs, callback);
  }

  /** The same for something that a process does. */
  scheduleOn(host: Host | undefined, delayMs: number, callback: () => void): () => void {
    const due = this.#due(delayMs, callback, host);
    return () => {
      // It stays where it is and does nothing: to look for it would cost more.
      due.callback = undefined;
    };
  }

  /** The same for what is never cancelled. */
  after(delayMs: number, callback: () => void): void {
    this.#due(delayMs, callback, undefined);
  }

  /** Moves on to this time and does what falls due until then. */
  runUntil(untilMs: number): void {
    for (;;) {
      const due = this.#current[this.#next];
      if (due) {
        if (due.atMs > untilMs) break;
        this.#next++;
        this.#nowMs = Math.max(this.#nowMs, due.atMs);
        this.#do(due);
      } else if ((this.#slot + 1) / SLOTS_PER_MS > untilMs) break;
      else this.#turn();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  #due(delayMs: number, callback: () => void, host: Host | undefined): Due {
    const atMs = this.#nowMs + Math.max(0, delayMs);
    const due: Due = { atMs, order: this.#order++, callback, host, next: undefined };
    this.#enter(due);
    return due;
  }

  #do(due: Due): void {
    const { host } = due;
    if (host && due.callback) {
      if (host.pausedUntilMs > this.#nowMs) {
        due.atMs = host.pausedUntilMs;
        // In the order in which they fell due.
        due.order = this.#order++;
        this.#enter(due);
        return;
      }
      host.wakes();
    }
    // What the process was told as it woke may have cancelled it.
    due.callback?.();
  }

  #enter(due: Due): void {
    const slot = Math.floor(due.atMs * SLOTS_PER_MS);
    if (slot <= this.#slot) this.#insert(due);
    else if (slot - this.#slot >= SLOTS) this.#far.push(due);
    else {
      const at = slot & (SLOTS - 1);
      due.next = this.#slots[at];
      this.#slots[at] = due;
    }
  }

  /** Into the slot that is being done. */
  #insert(due: Due): void {
    let [low, high] = [this.#next, this.#current.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#current[middle];
      if (other && isBefore(other, due)) low = middle + 1;
      else high = middle;
    }
    this.#current.splice(low, 0, due);
  }

  /** On to the next slot. */
  #turn(): void {
    this.#slot++;
    this.#current.length = 0;
    this.#next = 0;
    const at = this.#slot & (SLOTS - 1);
    let due = this.#slots[at];
    this.#slots[at] = undefined;
    while (due) {
      const { next } = due;
      due.next = undefined;
      this.#current.push(due);
      due = next;
    }
    const horizonMs = (this.#slot + SLOTS - 1) / SLOTS_PER_MS;
    for (let far = this.#far.first; far && far.atMs < horizonMs; far = this.#far.first) {
      this.#far.pop();
      // May be of this very slot: then it is in order already, and the sort below finds it so.
      if (far.callback) this.#enter(far);
    }
    if (this.#current.length > 1)
      this.#current.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
  }
}
