import type { Clock } from '../../runtime/clock.js';
import type { Host, VirtualTime } from './virtual-time.js';

/**
 * The clock of a process that may be stopped for a while: what falls due meanwhile happens when it goes on, all at once and in order, after it was told how late it is. What
 * `StallWatch` is on real clocks.
 */
export class ProcessClock implements Clock, Host {
  readonly #time: VirtualTime;
  readonly #onStall: (lateMs: number) => void;
  #pausedAtMs = 0;
  #isTold = true;
  /** What comes meanwhile waits for this moment. */
  pausedUntilMs = 0;

  constructor(time: VirtualTime, onStall: (lateMs: number) => void) {
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
    return this.pausedUntilMs > this.monotonicMs();
  }

  pause(forMs: number): void {
    this.#pausedAtMs = this.monotonicMs();
    this.pausedUntilMs = this.#pausedAtMs + forMs;
    this.#isTold = false;
  }

  wakes(): void {
    if (this.#isTold) return;
    this.#isTold = true;
    this.#onStall(this.pausedUntilMs - this.#pausedAtMs);
  }

  schedule(delayMs: number, callback: () => void): () => void {
    return this.#time.scheduleOn(this, delayMs, callback);
  }
}
