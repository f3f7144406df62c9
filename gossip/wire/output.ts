import { WireError } from './wire-error.js';

/** Bytes that can be appended to, up to a limit. */
export class Output {
  readonly #maxBytes: number;
  #bytes: Uint8Array;
  length = 0;

  constructor(firstBytes: number, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = new Uint8Array(Math.min(firstBytes, maxBytes));
  }

  /** Makes room for so many more and returns where it begins. */
  room(bytes: number): Uint8Array {
    const length = this.length + bytes;
    if (length > this.#maxBytes)
      throw new WireError('too_large', `more than ${String(this.#maxBytes)} bytes when unpacked`);
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(
        Math.min(this.#maxBytes, Math.max(length, 2 * this.#bytes.length)),
      );
      larger.set(this.#bytes.subarray(0, this.length));
      this.#bytes = larger;
    }
    this.length = length;
    return this.#bytes;
  }

  /** Bytes of memory that it takes. */
  get heldBytes(): number {
    return this.#bytes.length;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}
