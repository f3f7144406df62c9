import { limitExceeded } from '../../runtime/errors.js';

/** When a caller of a full node may come again, ms. */
const RETRY_MS = 100;

/** Bounds how many calls of typed services a node answers at a time; of them, invocations and runs have limits of their own on top. */
export class CallRoom {
  readonly #most: number;
  readonly #what: string;
  #inside = 0;

  /** `what`: is counted, as in "the number of calls". */
  constructor(most: number, what: string) {
    this.#most = most;
    this.#what = what;
  }

  /** Calls under way. */
  get inside(): number {
    return this.#inside;
  }

  /** Throws RESOURCE_EXHAUSTED with word when to come again where there is no room; call what it returns once, when the call has ended. */
  readonly enter = (): (() => void) => {
    if (this.#inside >= this.#most)
      throw limitExceeded('max_invocations', this.#inside + 1, this.#most, {
        ...{ what: `the number of ${this.#what}`, retryAfterMs: RETRY_MS },
      });
    this.#inside++;
    return () => {
      this.#inside--;
    };
  };
}
