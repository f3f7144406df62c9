import { suspicionMs } from './formulas.js';
import type { SuspicionBounds } from './formulas.js';

/** Somebody is suspected, and who says so. It lasts the shorter the more members confirm it (Lifeguard). */
export class Suspicion {
  /** Of the suspect, as it is in the list. */
  readonly incarnation: number;
  /** Others are not listened to once enough have accused it. */
  isFull: boolean;
  /** Ends the timer that is under way. */
  cancel: () => void = nothing;
  readonly #bounds: SuspicionBounds;
  #startedMs: number;
  readonly #first: string;
  /** Without the first accuser; few. */
  #confirmedBy: string[] = NOBODY;

  constructor(incarnation: number, first: string, startedMs: number, bounds: SuspicionBounds) {
    this.incarnation = incarnation;
    this.isFull = bounds.wanted < 1;
    this.#bounds = bounds;
    this.#startedMs = startedMs;
    this.#first = first;
  }

  /** Somebody accuses it too; false where this one was heard before. */
  confirm(from: string): boolean {
    if (from === this.#first || this.#confirmedBy.includes(from)) return false;
    if (this.#confirmedBy === NOBODY) this.#confirmedBy = [from];
    else this.#confirmedBy.push(from);
    this.isFull = this.#confirmedBy.length >= this.#bounds.wanted;
    return true;
  }

  /** It begins so much later, ms. */
  postpone(forMs: number): void {
    this.#startedMs += forMs;
  }

  /** How long it still lasts, ms; 0 = it is over. */
  leftMs(nowMs: number): number {
    const lastsMs = suspicionMs(this.#bounds, this.#confirmedBy.length);
    return Math.max(0, lastsMs - (nowMs - this.#startedMs));
  }
}

/** Never changed: an accusation that nobody confirms needs no list of its own. */
const NOBODY: string[] = [];

function nothing(): void {
  // No timer is under way.
}
