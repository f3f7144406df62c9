import { status } from '@grpc/grpc-js';

import type { Clock } from '../../runtime/clock.js';
import { FractoryError } from '../../runtime/errors.js';
import type { CnnLimits } from './limits.js';

/** Over how many requests the time between two ends is averaged, about. */
const MEMORY = 16;
/** Where nothing has ended yet. */
const FIRST_GUESS_MS = 50;
const MAX_RETRY_MS = 10_000;

/** What a request that is under way may do. */
export interface Place {
  /** It takes so many more bytes until it ends. Throws QUEUE_FULL past the limit. */
  hold(bytes: number): void;
}

/** The limits on what is under way. */
export type AdmissionLimits = Pick<CnnLimits, 'max_queued' | 'max_queued_bytes'>;

/** Bounds how many requests are under way and what they take, and tells those it refuses when there is room again, by the rate at which others end. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #clock: Clock;
  #underWay = 0;
  #bytes = 0;
  #intervalMs = FIRST_GUESS_MS;
  #lastEndMs: number | undefined;

  constructor(limits: AdmissionLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Work that takes so many bytes while it is under way. Throws QUEUE_FULL past a limit. */
  async run<T>(bytes: number, work: (place: Place) => Promise<T>): Promise<T> {
    if (this.#underWay >= this.#limits.max_queued) throw this.#full();
    let held = 0;
    const hold = (more: number): void => {
      // One that is alone is taken whatever its size, or else it never would be.
      const others = this.#bytes - held;
      if (others > 0 && this.#bytes + more > this.#limits.max_queued_bytes)
        throw this.#tooMuch(more);
      held += more;
      this.#bytes += more;
    };
    hold(bytes);
    this.#underWay++;
    // What was idle before says nothing of the rate.
    if (this.#underWay === 1) this.#lastEndMs = this.#clock.monotonicMs();
    try {
      return await work({ hold });
    } finally {
      this.#underWay--;
      this.#bytes -= held;
      this.#ended();
    }
  }

  #ended(): void {
    const now = this.#clock.monotonicMs();
    if (this.#lastEndMs !== undefined)
      this.#intervalMs += (now - this.#lastEndMs - this.#intervalMs) / MEMORY;
    this.#lastEndMs = now;
  }

  #full(): FractoryError {
    const [underWay, limit] = [String(this.#underWay), String(this.#limits.max_queued)];
    const what = `${underWay} requests are under way`;
    return this.#refusal(`${what}, the limit max_queued is ${limit}`, 'max_queued', limit);
  }

  #tooMuch(bytes: number): FractoryError {
    const limit = String(this.#limits.max_queued_bytes);
    const what = `requests under way take ${String(this.#bytes)} bytes, this one ${String(bytes)}`;
    const text = `${what}, the limit max_queued_bytes is ${limit}`;
    return this.#refusal(text, 'max_queued_bytes', limit);
  }

  /** Retried when half of those under way have ended, so that not all who wait come back for one place. */
  #refusal(message: string, limit: string, allowed: string): FractoryError {
    const halfMs = Math.ceil((this.#intervalMs * this.#underWay) / 2);
    return new FractoryError(status.RESOURCE_EXHAUSTED, 'QUEUE_FULL', message, {
      retryAfterMs: Math.max(1, Math.min(MAX_RETRY_MS, halfMs)),
      metadata: { limit, allowed },
    });
  }
}
