import type { Clock } from '../../runtime/clock.js';

/** The clock of a process that may be stopped for a while: what falls due meanwhile happens when it goes on, all at once and in order. */
export class PausedClock implements Clock {
  readonly #time: Clock;
  #pausedUntilMs = 0;

  constructor(time: Clock) {
    this.#time = time;
  }

  now(): number {
    return this.#time.now();
  }

  monotonicMs(): number {
    return this.#time.monotonicMs();
  }

  get isPaused(): boolean {
    return this.monotonicMs() < this.#pausedUntilMs;
  }

  /** What comes meanwhile waits for this moment. */
  get pausedUntilMs(): number {
    return this.#pausedUntilMs;
  }

  pause(forMs: number): void {
    this.#pausedUntilMs = this.monotonicMs() + forMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    let cancel = (): void => undefined;
    const due = (): void => {
      if (this.isPaused)
        cancel = this.#time.schedule(this.#pausedUntilMs - this.monotonicMs(), due);
      else callback();
    };
    cancel = this.#time.schedule(delayMs, due);
    return () => {
      cancel();
    };
  }
}
