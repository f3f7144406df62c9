import { systemClock } from './clock.js';
import type { Clock } from './clock.js';

export interface RetryBudgetOptions {
  /** Retries that each first try allows. Default 0.2: one for five. */
  readonly share?: number;
  /** Retries a second that are allowed however few first tries there are. Default 20. */
  readonly minPerSecond?: number;
  /** Retries that may come at once, so that all that was under way at a member that died can go elsewhere. Default 1,024. */
  readonly burst?: number;
  /** Longest that a retry is held back, ms. Default 5,000. */
  readonly maxDelayMs?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/**
 * Bounds what retries add to a load: a token bucket that first tries fill, as Finagle's RetryBudget (a share of the requests plus a minimum a second)
 * and gRPC's retry throttling (proposal A6) have it. They drop a retry for which there is no token; a run that has time left must not fail for that, so
 * here the bucket goes into debt and the retry comes later, as in a leaky bucket: many who retry at once are spread over time.
 */
export class RetryBudget {
  readonly #share: number;
  readonly #perMs: number;
  readonly #burst: number;
  readonly #maxDelayMs: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledAtMs: number;

  constructor(options: RetryBudgetOptions = {}) {
    const { share = 0.2, minPerSecond = 20, burst = 1024, maxDelayMs = 5000 } = options;
    this.#share = share;
    this.#perMs = minPerSecond / 1000;
    this.#burst = burst;
    this.#maxDelayMs = maxDelayMs;
    this.#clock = options.clock ?? systemClock;
    this.#tokens = burst;
    this.#filledAtMs = this.#clock.monotonicMs();
  }

  /** Retries that could begin at once; less than 0: so many are being held back. */
  get tokens(): number {
    this.#fill();
    return this.#tokens;
  }

  /** Something is tried for the first time. */
  deposit(): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + this.#share);
  }

  /** Takes a token for a retry; returns how long to hold it back, ms: 0 while there are tokens. */
  withdraw(): number {
    this.#fill();
    const most = this.#maxDelayMs * this.#perMs;
    this.#tokens = Math.max(-most, this.#tokens - 1);
    return this.#tokens >= 0 ? 0 : Math.min(this.#maxDelayMs, -this.#tokens / this.#perMs);
  }

  #fill(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#burst, this.#tokens + (nowMs - this.#filledAtMs) * this.#perMs);
    this.#filledAtMs = nowMs;
  }
}
