import { WireError } from './wire-error.js';

/** Bytes that several together may hold. Who takes some gives them back. */
export class Budget {
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Throws a WireError where there is no room for so many more. */
  take(bytes: number): void {
    if (this.#usedBytes + bytes > this.#maxBytes)
      throw new WireError(
        'too_large',
        `all connections together hold ${String(this.#usedBytes)} bytes, at most ${String(this.#maxBytes)}`,
      );
    this.#usedBytes += bytes;
  }

  give(bytes: number): void {
    this.#usedBytes -= bytes;
  }
}
