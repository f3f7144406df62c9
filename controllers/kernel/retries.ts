import { cancelled } from '../../runtime/errors.js';
import { RetryBudget } from '../../runtime/retry-budget.js';

export interface RetriesOptions {
  /** Subscribes to changes of the members; returns what ends the subscription. */
  readonly onNews: (listener: () => void) => () => void;
  /** Default: a bucket of the usual size. */
  readonly budget?: RetryBudget;
  /** Hears of each retry, and how long the budget holds it back, ms. */
  readonly onRetry?: (heldMs: number) => void;
}

/** All that waited for the same news don't go at the same moment, ms. */
const SPREAD_MS = 10;

/**
 * When to try again: after a backoff, later if the budget is spent, and at once when there is news of the members: whoever waits for a new leader
 * waits no longer than it takes to hear of it.
 */
export class Retries {
  readonly #options: RetriesOptions;
  readonly #budget: RetryBudget;

  constructor(options: RetriesOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new RetryBudget();
  }

  /** Something is tried for the first time. */
  begin(): void {
    this.#budget.deposit();
  }

  /** Waits before the next try; rejects with the reason of `signal`. The budget holds back for `mostMs` at most: time must be left for the try. */
  pause(backoffMs: number, signal: AbortSignal, mostMs = Infinity): Promise<void> {
    const heldMs = Math.min(mostMs, this.#budget.withdraw());
    this.#options.onRetry?.(heldMs);
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => (): void => {
        clearTimeout(timer);
        stopListening();
        signal.removeEventListener('abort', abort);
        settle();
      };
      const done = end(resolve);
      const abort = end(() => {
        reject(signal.reason instanceof Error ? signal.reason : cancelled());
      });
      let timer = setTimeout(done, Math.max(backoffMs, heldMs));
      const stopListening = this.#options.onNews(() => {
        clearTimeout(timer);
        timer = setTimeout(done, Math.random() * SPREAD_MS);
      });
      signal.addEventListener('abort', abort, { once: true });
      if (signal.aborted) abort();
    });
  }
}
