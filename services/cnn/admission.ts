import { status } from '@grpc/grpc-js';

import type { Clock } from '../../runtime/clock.js';
import { FractoryError } from '../../runtime/errors.js';

/** Over how many requests the time between two ends is averaged, about. */
const MEMORY = 16;
/** Where nothing has ended yet. */
const FIRST_GUESS_MS = 50;
const MAX_RETRY_MS = 10_000;

/** Bounds how many requests are under way, and tells those it refuses when there is room again, by the rate at which others end. */
export class Admission {
  readonly #limit: number;
  readonly #clock: Clock;
  #underWay = 0;
  #intervalMs = FIRST_GUESS_MS;
  #lastEndMs: number | undefined;

  constructor(limit: number, clock: Clock) {
    this.#limit = limit;
    this.#clock = clock;
  }

  /** Throws QUEUE_FULL past the limit. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#underWay >= this.#limit) throw this.#full();
    this.#underWay++;
    // What was idle before says nothing of the rate.
    if (this.#underWay === 1) this.#lastEndMs = this.#clock.monotonicMs();
    try {
      return await work();
    } finally {
      this.#underWay--;
      this.#ended();
    }
  }

  #ended(): void {
    const now = this.#clock.monotonicMs();
    if (this.#lastEndMs !== undefined)
      this.#intervalMs += (now - this.#lastEndMs - this.#intervalMs) / MEMORY;
    this.#lastEndMs = now;
  }

  /** When half of those under way have ended, so that not all who wait come back for one place. */
  #full(): FractoryError {
    const [underWay, limit] = [String(this.#underWay), String(this.#limit)];
    const halfMs = Math.ceil((this.#intervalMs * this.#limit) / 2);
    return new FractoryError(
      status.RESOURCE_EXHAUSTED,
      'QUEUE_FULL',
      `${underWay} requests are under way, the limit max_queued is ${limit}`,
      {
        retryAfterMs: Math.max(1, Math.min(MAX_RETRY_MS, halfMs)),
        metadata: { limit: 'max_queued', allowed: limit },
      },
    );
  }
}
