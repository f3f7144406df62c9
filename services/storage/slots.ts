import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';

/** Counts what is under way, up to a limit. */
export class Slots {
  readonly #limit: string;
  readonly #allowed: number;
  readonly #what: string;
  readonly #reason: string;
  #taken = 0;

  constructor(options: {
    readonly limit: string;
    readonly allowed: number;
    /** What is counted, for the message: `transfers are under way`. */
    readonly what: string;
    readonly reason: string;
  }) {
    this.#limit = options.limit;
    this.#allowed = options.allowed;
    this.#what = options.what;
    this.#reason = options.reason;
  }

  get taken(): number {
    return this.#taken;
  }

  /** RESOURCE_EXHAUSTED past the limit. Returns what gives the slot back; idempotent. */
  take(): () => void {
    if (this.#taken >= this.#allowed)
      throw new FractoryError(
        status.RESOURCE_EXHAUSTED,
        this.#reason,
        `${String(this.#taken)} ${this.#what}, the limit ${this.#limit} is ${String(this.#allowed)}`,
        {
          retryAfterMs: 200,
          metadata: { limit: this.#limit, allowed: String(this.#allowed) },
        },
      );
    this.#taken++;
    let isGiven = false;
    return () => {
      if (!isGiven) this.#taken--;
      isGiven = true;
    };
  }
}
