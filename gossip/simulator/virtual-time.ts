import type { Clock } from '../../runtime/clock.js';
import { Due, isBefore } from './due.js';

/** A process that may be stopped: what falls due meanwhile waits. */
export interface Host {
  /** Until when it stands still; at or before now = it runs. */
  readonly pausedUntilMs: number;
  /** Called before each thing that it does. */
  wakes(): void;
}

/** Something that whoever asked for it may cancel. */
class Timer extends Due {
  readonly #time: VirtualTime;
  readonly #host: Host | undefined;
  #callback: (() => void) | undefined;

  constructor(time: VirtualTime, delayMs: number, host: Host | undefined, callback: () => void) {
    super(time.in(delayMs), time.nextOrder());
    this.#time = time;
    this.#host = host;
    this.#callback = callback;
  }

  cancel(): void {
    if (!this.#callback) return;
    this.#callback = undefined;
    this.#time.forget(this);
  }

  happens(): void {
    const host = this.#host;
    if (host && this.#callback) {
      if (host.pausedUntilMs > this.#time.monotonicMs()) {
        // In the order in which they fell due.
        this.#time.enter(new Belated(host.pausedUntilMs, this.#time.nextOrder(), this));
        return;
      }
      host.wakes();
    }
    // What the process was told as it woke may have cancelled it.
    this.#callback?.();
  }
}

/** A timer that fell due while its process was stopped. */
class Belated extends Due {
  readonly #timer: Timer;

  constructor(atMs: number, order: number, timer: Timer) {
    super(atMs, order);
    this.#timer = timer;
  }

  happens(): void {
    this.#timer.happens();
  }
}

const SLOTS_PER_MS = 8;
/** About 4 s, an epoch: most timers of the protocol are shorter. A power of two. */
const SLOTS = 2 ** 15;
/** More things than this in a slot are put in order by the engine. */
const MANY = 32;

/**
 * A clock that goes from one thing to do to the next, as fast as they are done. A wheel: what falls due in the next seconds stands in slots of an eighth of a millisecond, which
 * are put in order when their time comes; the rest waits by epochs, and goes into the slots when its epoch begins.
 */
export class VirtualTime implements Clock {
  readonly #slots: (Due | undefined)[] = new Array<Due | undefined>(SLOTS).fill(undefined);
  /** By epoch, the last that was asked for first. */
  readonly #far = new Map<number, Due>();
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
    const timer = new Timer(this, delayMs, host, callback);
    this.enter(timer);
    return () => {
      timer.cancel();
    };
  }

  /** The same for what is never cancelled. */
  after(delayMs: number, callback: () => void): void {
    this.enter(new Timer(this, delayMs, undefined, callback));
  }

  /** The time after so long. */
  in(delayMs: number): number {
    return this.#nowMs + Math.max(0, delayMs);
  }

  /** For the next thing that is asked for. */
  nextOrder(): number {
    return this.#order++;
  }

  /** Moves on to this time and does what falls due until then. */
  runUntil(untilMs: number): void {
    for (;;) {
      const due = this.#current[this.#next];
      if (due) {
        if (due.atMs > untilMs) break;
        this.#next++;
        this.#nowMs = Math.max(this.#nowMs, due.atMs);
        due.happens();
      } else if ((this.#slot + 1) / SLOTS_PER_MS > untilMs) break;
      else this.#turn();
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Puts something on the agenda. */
  enter(due: Due): void {
    const slot = Math.floor(due.atMs * SLOTS_PER_MS);
    if (slot <= this.#slot) this.#insert(due);
    else if (slot - this.#slot >= SLOTS) {
      const epoch = Math.floor(slot / SLOTS);
      const first = this.#far.get(epoch);
      due.next = first;
      if (first) first.previous = due;
      this.#far.set(epoch, due);
    } else {
      const at = slot & (SLOTS - 1);
      due.next = this.#slots[at];
      this.#slots[at] = due;
    }
  }

  /**
   * Takes off the agenda what waits for its epoch: suspicions are cancelled by the million, and begun for long. What comes in the next seconds stays and does nothing:
   * its neighbours lie elsewhere in memory, so to take it out would cost more.
   */
  forget(due: Due): void {
    const slot = Math.floor(due.atMs * SLOTS_PER_MS);
    if (slot - this.#slot < SLOTS) return;
    const { next, previous } = due;
    const epoch = Math.floor(slot / SLOTS);
    if (previous) previous.next = next;
    else if (this.#far.get(epoch) !== due) return;
    else if (next) this.#far.set(epoch, next);
    else this.#far.delete(epoch);
    if (next) next.previous = previous;
    due.next = undefined;
    due.previous = undefined;
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
    if (at === 0) this.#beginEpoch(this.#slot / SLOTS);
    let due = this.#slots[at];
    this.#slots[at] = undefined;
    while (due) {
      const { next } = due;
      due.next = undefined;
      this.#current.push(due);
      due = next;
    }
    sort(this.#current);
  }

  /** What falls due in it goes into its slots. */
  #beginEpoch(epoch: number): void {
    let due = this.#far.get(epoch);
    this.#far.delete(epoch);
    while (due) {
      const { next } = due;
      const at = Math.floor(due.atMs * SLOTS_PER_MS) & (SLOTS - 1);
      due.next = this.#slots[at];
      due.previous = undefined;
      this.#slots[at] = due;
      due = next;
    }
  }
}

/** In place, one by one: a slot holds few, and what was asked for later mostly stands behind already. */
function sort(dues: Due[]): void {
  if (dues.length > MANY) {
    dues.sort((one, other) => (isBefore(one, other) ? -1 : 1));
    return;
  }
  for (let from = 1; from < dues.length; from++) {
    const due = dues[from] as Due;
    let at = from;
    for (let before = dues[at - 1]; before && isBefore(due, before); before = dues[at - 1])
      dues[at--] = before;
    dues[at] = due;
  }
}
