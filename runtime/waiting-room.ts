import type { Clock } from './clock.js';

export interface WaitingRoomOptions {
  /** Who may wait at a time. */
  readonly places: number;
  readonly clock: Clock;
  /** How many may be inside now. */
  readonly limit: () => number;
}

/** How somebody who waited went. */
export type Turn = 'entered' | 'expired' | 'full' | 'left';

interface Waiting {
  readonly sinceMs: number;
  /** How long it may wait while nothing has been waiting for long, ms. */
  readonly patienceMs: number;
  readonly settle: (turn: Turn) => void;
}

/** How often it is looked whose patience is at its end, ms. */
const TICK_MS = 10;
/** What is left of the patience while the queue stands. */
const HURRY = 0.25;

/**
 * A bounded number inside, a bounded number that waits, none of them for long. As "Fail at Scale" (Maurer, ACM Queue 2015) has it for servers after CoDel
 * (Nichols and Jacobson, 2012): a queue that drains is useful, one that stands only makes everybody late. While it stands, waiting is cut short
 * (controlled delay) and the youngest enters first (adaptive LIFO): its caller is the likeliest to be waiting still.
 */
export class WaitingRoom {
  readonly #options: WaitingRoomOptions;
  readonly #waiting: Waiting[] = [];
  #inside = 0;
  #emptyAtMs: number;
  #cancelTick: (() => void) | undefined;

  constructor(options: WaitingRoomOptions) {
    this.#options = options;
    this.#emptyAtMs = options.clock.monotonicMs();
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Enters now where there is room and nobody waits. */
  tryEnter(): boolean {
    if (this.#waiting.length > 0 || this.#inside >= this.#options.limit()) return false;
    this.#inside++;
    return true;
  }

  /** Enters, or waits for it for `patienceMs` at most; `settle` hears once how it went, maybe at once. Returns what gives the waiting up. Whoever entered leaves once. */
  enter(patienceMs: number, settle: (turn: Turn) => void): () => void {
    const nothing = (): void => undefined;
    if (this.tryEnter()) settle('entered');
    else if (patienceMs <= 0) settle('expired');
    else {
      this.#expire();
      if (this.#waiting.length < this.#options.places) return this.#wait(patienceMs, settle);
      settle('full');
    }
    return nothing;
  }

  /** Somebody who was inside goes. */
  leave(): void {
    this.#inside--;
    this.admit();
  }

  /** The limit may have risen: who waits enters. */
  admit(): void {
    this.#expire();
    while (this.#waiting.length > 0 && this.#inside < this.#options.limit()) {
      const next = this.#isStanding() ? this.#waiting.pop() : this.#waiting.shift();
      if (!next) break;
      this.#inside++;
      next.settle('entered');
    }
    this.#noteEmpty();
  }

  /** Nobody waits any more. */
  close(): void {
    this.#cancelTick?.();
    for (const { settle } of this.#waiting.splice(0)) settle('left');
  }

  /** While anybody waits. */
  #tick(): void {
    this.#cancelTick ??= this.#options.clock.schedule(TICK_MS, () => {
      this.#cancelTick = undefined;
      this.admit();
      if (this.#waiting.length > 0) this.#tick();
    });
  }

  #wait(patienceMs: number, settle: (turn: Turn) => void): () => void {
    const waiting = { sinceMs: this.#options.clock.monotonicMs(), patienceMs, settle };
    this.#waiting.push(waiting);
    this.#tick();
    return () => {
      const place = this.#waiting.indexOf(waiting);
      if (place < 0) return;
      this.#waiting.splice(place, 1);
      this.#noteEmpty();
      settle('left');
    };
  }

  #noteEmpty(): void {
    if (this.#waiting.length === 0) this.#emptyAtMs = this.#options.clock.monotonicMs();
  }

  /** Whether the queue has not been empty for as long as its oldest would wait. */
  #isStanding(): boolean {
    const [oldest] = this.#waiting;
    if (!oldest) return false;
    const standingMs = this.#options.clock.monotonicMs() - this.#emptyAtMs;
    return standingMs >= oldest.patienceMs;
  }

  #patienceOf({ patienceMs }: Waiting): number {
    return this.#isStanding() ? patienceMs * HURRY : patienceMs;
  }

  #expire(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (let place = 0; place < this.#waiting.length;) {
      const waiting = this.#waiting[place];
      if (!waiting || nowMs - waiting.sinceMs < this.#patienceOf(waiting)) {
        place++;
        continue;
      }
      this.#waiting.splice(place, 1);
      waiting.settle('expired');
    }
    this.#noteEmpty();
  }
}
