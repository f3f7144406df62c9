import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import type { Content, ContentRange, ReadContentOptions } from '../content.js';
import { dataLoss, nameOf, translate } from './failures.js';
import type { FileRef } from './failures.js';
import type { FileRecord } from './metadata.js';

/**
 * An open file as content: it stays what it was when it was opened. Nothing is hashed here: the hash travels with the content, and whoever reads
 * all of it compares.
 */
export class FileContent implements Content {
  readonly sizeBytes: number;
  readonly sha256: Uint8Array;
  readonly #ref: FileRef;
  readonly #ended: () => void;
  #handle: FileHandle | undefined;

  /** Owns the handle. `ended` is called once, when it is disposed of. */
  constructor(ref: FileRef, handle: FileHandle, record: FileRecord, ended: () => void) {
    this.#ref = ref;
    this.#handle = handle;
    this.#ended = ended;
    this.sizeBytes = record.sizeBytes;
    this.sha256 = Buffer.from(record.sha256, 'hex');
  }

  async *read(
    { offset, length }: ContentRange,
    { chunkBytes, lend = allocate, signal }: ReadContentOptions,
  ): AsyncGenerator<Uint8Array, void> {
    const end = offset + length;
    for (let at = offset; at < end;) {
      signal.throwIfAborted();
      const chunk = await this.#chunk(at, lend(Math.min(chunkBytes, end - at)));
      if (chunk.length === 0)
        throw dataLoss(this.#ref, `is damaged: it ends at byte ${String(at)}`);
      at += chunk.length;
      yield chunk;
    }
  }

  /** All of it, verified. For content that is small. */
  async whole(signal: AbortSignal): Promise<Buffer> {
    const chunks: Uint8Array[] = [];
    const range = { offset: 0, length: this.sizeBytes };
    for await (const chunk of this.read(range, { chunkBytes: this.sizeBytes || 1, signal }))
      chunks.push(chunk);
    const data = Buffer.concat(chunks);
    if (createHash('sha256').update(data).digest().equals(this.sha256)) return data;
    throw dataLoss(this.#ref, 'is damaged: its content is not what was stored');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const handle = this.#handle;
    if (!handle) return;
    this.#handle = undefined;
    this.#ended();
    await handle.close();
  }

  async #chunk(at: number, buffer: Uint8Array): Promise<Uint8Array> {
    const handle = this.#handle;
    if (!handle) throw disposed(this.#ref);
    try {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      throw translate(error, 'read', nameOf(this.#ref));
    }
  }
}

const allocate = (length: number): Uint8Array => Buffer.allocUnsafeSlow(length);

function disposed(ref: FileRef): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'CONTENT_DISPOSED',
    `${nameOf(ref)} is not open any more`,
  );
}
