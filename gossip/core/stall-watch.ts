import type { Clock } from '../../runtime/clock.js';

/** A clock that notices when it calls late: the process was stopped, or the event loop was held. Who is told hears of it before anything that is late happens. */
export class StallWatch implements Clock {
  readonly #clock: Clock;
  readonly #toleratedMs: number;
  readonly #onStall: (lateMs: number) => void;
  /** Lateness up to here was told. */
  #toldUntilMs = -Infinity;

  constructor(clock: Clock, toleratedMs: number, onStall: (lateMs: number) => void) {
    this.#clock = clock;
    this.#toleratedMs = toleratedMs;
    this.#onStall = onStall;
  }

  now(): number {
    return this.#clock.now();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const dueMs = this.monotonicMs() + delayMs;
    let cancelled = false;
    const cancel = this.#clock.schedule(delayMs, () => {
      this.#check(dueMs);
      // What was told may have cancelled it.
      if (!cancelled) callback();
    });
    return () => {
      cancelled = true;
      cancel();
    };
  }

  /** One stall makes many things late: it is told once. */
  #check(dueMs: number): void {
    const nowMs = this.monotonicMs();
    if (nowMs - dueMs < this.#toleratedMs || dueMs < this.#toldUntilMs) return;
    this.#toldUntilMs = nowMs;
    this.#onStall(nowMs - dueMs);
  }
}
