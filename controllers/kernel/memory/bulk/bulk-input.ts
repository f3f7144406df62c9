import type { FrameParser } from './framing.js';

/** Memory for what arrives while reading pauses, bytes. */
const SPARE_BYTES = 64 * 1024;

/**
 * What a socket reads into: the memory where the parser wants the next bytes, so that a chunk arrives where it stays. While reading pauses, bytes
 * may still come, for TLS decrypts more than it was asked for: they wait in memory of their own.
 */
export class BulkInput {
  readonly #parser: FrameParser;
  readonly #waiting: Uint8Array[] = [];
  #spare: Uint8Array | undefined;
  #isPaused = false;

  constructor(parser: FrameParser) {
    this.#parser = parser;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Where the next bytes belong. */
  lend(): Uint8Array {
    if (!this.#isPaused && this.#waiting.length === 0) return this.#parser.room();
    this.#spare ??= Buffer.allocUnsafeSlow(SPARE_BYTES);
    return this.#spare;
  }

  /** So many bytes were put into the memory lent last; throws what the parser throws. False: reading has paused. */
  take(bytes: number, lent: Uint8Array): boolean {
    if (lent !== this.#spare) {
      this.#parser.advance(bytes);
      return !this.#isPaused;
    }
    this.#waiting.push(Buffer.from(lent.subarray(0, bytes)));
    return this.#parseWaiting();
  }

  /** No more is parsed until `resume`. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Parses what has come meanwhile; throws what the parser throws. False: reading has paused again. */
  resume(): boolean {
    this.#isPaused = false;
    return this.#parseWaiting();
  }

  #parseWaiting(): boolean {
    const stop = (): boolean => this.#isPaused;
    while (!stop()) {
      const bytes = this.#waiting.shift();
      if (!bytes) return true;
      const taken = this.#parser.feed(bytes, stop);
      if (taken < bytes.length) this.#waiting.unshift(bytes.subarray(taken));
    }
    return false;
  }
}
