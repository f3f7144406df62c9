import { backoffMs } from '../runtime/backoff.js';
import type { Clock } from '../runtime/clock.js';

export interface ReconcilerOptions {
  readonly clock: Clock;
  /** Hears of each run that failed; the next one comes after a delay that grows. */
  readonly onError: (error: unknown, attempt: number) => void;
}

/**
 * Brings something in line with what it should be, again whenever that is requested: one run at a time, requests during a run
 * make one more, a failed run is tried again.
 */
export class Reconciler {
  readonly #work: () => Promise<void>;
  readonly #options: ReconcilerOptions;
  #wanted = false;
  #stopped = false;
  #attempt = 0;
  #running: Promise<void> | undefined;
  #cancelRetry: () => void = () => undefined;
  #waiting: (() => void)[] = [];

  constructor(work: () => Promise<void>, options: ReconcilerOptions) {
    this.#work = work;
    this.#options = options;
  }

  /** Asks for a run that begins after now. */
  request(): void {
    if (this.#stopped) return;
    this.#wanted = true;
    this.#cancelRetry();
    this.#running ??= this.#run();
  }

  /** Asks for a run and resolves when one that began after now has succeeded, or the reconciler was stopped. */
  completed(): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.request();
    });
  }

  /** No run begins any more; resolves when the one under way has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry();
    await this.#running;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  async #run(): Promise<void> {
    while (this.#wanted && !this.#stopped) {
      this.#wanted = false;
      const served = this.#waiting.splice(0);
      try {
        await this.#work();
        this.#attempt = 0;
        for (const resolve of served) resolve();
      } catch (error) {
        this.#waiting.unshift(...served);
        this.#attempt++;
        if (!this.stopped) this.#options.onError(error, this.#attempt);
        this.#retryLater();
        break;
      }
    }
    this.#running = undefined;
    // A request that came while the last run failed.
    if (this.#wanted && !this.#stopped) this.request();
  }

  #retryLater(): void {
    if (this.#stopped || this.#wanted) return;
    this.#cancelRetry = this.#options.clock.schedule(
      backoffMs(this.#attempt, { maxMs: 1000 }),
      () => {
        this.request();
      },
    );
  }
}
