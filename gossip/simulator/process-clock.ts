import type { Clock } from '../../runtime/clock.js';

/**
 * The clock of a process that may be stopped for a while: what falls due meanwhile happens when it goes on, all at once and in order, after it was told how late it is. What
 * `StallWatch` is on real clocks.
 */
export class ProcessClock implements Clock {
  readonly #time: Clock;
  readonly #onStall: (lateMs: number) => void;
  #pausedAtMs = 0;
  #pausedUntilMs = 0;
  #isTold = true;

  constructor(time: Clock, onStall: (lateMs: number) => void) {
    this.#time = time;
    this.#onStall = onStall;
  }

  now(): number {
    return this.#time.now();
  }

  monotonicMs(): number {
    return this.#time.monotonicMs();
  }

  get isPaused(): boolean {
    return this.#pausedUntilMs > 0 && this.monotonicMs() < this.#pausedUntilMs;
  }

  /** What comes meanwhile waits for this moment. */
  get pausedUntilMs(): number {
    return this.#pausedUntilMs;
  }

  pause(forMs: number): void {
    this.#pausedAtMs = this.monotonicMs();
    this.#pausedUntilMs = this.#pausedAtMs + forMs;
    this.#isTold = false;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    let cancelled = false;
    let cancel = (): void => undefined;
    const due = (): void => {
      if (this.isPaused) {
        cancel = this.#time.schedule(this.#pausedUntilMs - this.monotonicMs(), due);
        return;
      }
      if (!this.#isTold) {
        this.#isTold = true;
        this.#onStall(this.#pausedUntilMs - this.#pausedAtMs);
      }
      // What it was told may have cancelled it.
      if (!cancelled) callback();
    };
    cancel = this.#time.schedule(delayMs, due);
    return () => {
      cancelled = true;
      cancel();
    };
  }
}
