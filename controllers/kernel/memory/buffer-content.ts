import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import type { Content, ContentRange, ReadContentOptions } from '../../../services/content.js';

export interface BufferContentOptions {
  /** Default: it can't be written. */
  readonly writable?: boolean;
  /** Where it is known: 32 bytes. */
  readonly sha256?: Uint8Array;
}

/**
 * Bytes on the heap, owned from the moment that they are given. Chunks are views, not copies: what is kept is read far more often than it is written,
 * and whoever reads a memory while another writes sees either, as in any memory.
 */
export class BufferContent implements Content {
  readonly sizeBytes: number;
  readonly sha256?: Uint8Array;
  readonly write?: (offset: number, data: Uint8Array) => void;
  #bytes: Uint8Array | undefined;

  constructor(bytes: Uint8Array, options: BufferContentOptions = {}) {
    this.#bytes = bytes;
    this.sizeBytes = bytes.length;
    if (options.sha256) this.sha256 = options.sha256;
    if (options.writable)
      this.write = (offset, data) => {
        this.#open().set(data, offset);
      };
  }

  /** A zeroed one that can be written. */
  static zeroed(sizeBytes: number): BufferContent {
    return new BufferContent(Buffer.alloc(sizeBytes), { writable: true });
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- the interface is for contents that wait
  async *read(
    { offset, length }: ContentRange,
    { chunkBytes, signal }: ReadContentOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const end = offset + length;
    for (let at = offset; at < end; at += chunkBytes) {
      signal.throwIfAborted();
      yield this.#open().subarray(at, Math.min(at + chunkBytes, end));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#bytes = undefined;
    return Promise.resolve();
  }

  #open(): Uint8Array {
    if (this.#bytes) return this.#bytes;
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'CONTENT_DISPOSED',
      'the content was disposed of',
    );
  }
}
