import { createHash } from 'node:crypto';

import { fileTooLarge } from '../../services/storage/failures.js';
import { SNIFFED_BYTES } from '../../services/storage/media-types.js';

export interface PieceReaderOptions {
  /** `client/name`, for messages. */
  readonly what: string;
  readonly maxBytes: number;
}

/** Cuts a stream of chunks into pieces of given sizes, and counts and hashes it on the way. */
export class PieceReader {
  readonly #source: AsyncIterator<Uint8Array, unknown>;
  readonly #options: PieceReaderOptions;
  readonly #hash = createHash('sha256');
  readonly #head: Uint8Array[] = [];
  #headBytes = 0;
  /** Read from the source, not handed out yet. */
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #sizeBytes = 0;
  #isAtEnd = false;

  constructor(source: AsyncIterable<Uint8Array>, options: PieceReaderOptions) {
    this.#source = source[Symbol.asyncIterator]();
    this.#options = options;
  }

  /** Reads ahead until so much is held or the source ends; returns how much is held. */
  async hold(bytes: number): Promise<number> {
    while (this.#heldBytes < bytes && !this.#isAtEnd) await this.#pull();
    return this.#heldBytes;
  }

  /** Whether the source has ended: what is held is all that there is to come. */
  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** The next `bytes` bytes, or as many as there are. */
  async *piece(bytes: number): AsyncGenerator<Uint8Array, void> {
    for (let missing = bytes; missing > 0;) {
      const chunk = this.#held.shift() ?? (await this.#next());
      if (!chunk) return;
      if (chunk.length > missing) this.#held.unshift(chunk.subarray(missing));
      const part = chunk.subarray(0, missing);
      this.#heldBytes -= part.length;
      missing -= part.length;
      yield part;
    }
  }

  /** Tells the source that no more is wanted, without waiting for it. */
  cancel(): void {
    void Promise.resolve(this.#source.return?.()).catch(() => undefined);
  }

  /** Of all that was read. Call it once, at the end. */
  result(): { sizeBytes: number; sha256: string; head: Uint8Array } {
    return {
      sizeBytes: this.#sizeBytes,
      sha256: this.#hash.digest('hex'),
      head: Buffer.concat(this.#head).subarray(0, SNIFFED_BYTES),
    };
  }

  async #next(): Promise<Uint8Array | undefined> {
    while (this.#held.length === 0 && !this.#isAtEnd) await this.#pull();
    return this.#held.shift();
  }

  async #pull(): Promise<void> {
    const next = await this.#source.next();
    if (next.done) {
      this.#isAtEnd = true;
      return;
    }
    const chunk = next.value;
    if (chunk.length === 0) return;
    const { maxBytes, what } = this.#options;
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes > maxBytes)
      throw fileTooLarge('max_file_bytes', what, this.#sizeBytes, maxBytes);
    this.#hash.update(chunk);
    if (this.#headBytes < SNIFFED_BYTES) {
      this.#head.push(Uint8Array.from(chunk.subarray(0, SNIFFED_BYTES)));
      this.#headBytes += chunk.length;
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
  }
}
