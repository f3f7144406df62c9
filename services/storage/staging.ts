import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

import { abortable } from './abortable.js';
import type { Chunks } from './abortable.js';
import type { Placement } from './depot.js';
import { createFile } from './durable.js';
import { fileTooLarge } from './failures.js';
import { SNIFFED_BYTES } from './media-types.js';

const BUFFER_BYTES = 256 * 1024;
/** Enough for most files; larger ones get the whole buffer. */
const FIRST_BUFFER_BYTES = 16 * 1024;
/** Chunks from this size on are written as they are, where nothing waits before them. */
const LARGE_CHUNK_BYTES = 64 * 1024;

/** A whole content in a temporary file, durable, not yet at its place. */
export interface Staged {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly inode: string;
  /** The first bytes. */
  readonly head: Uint8Array;
  /** The content lies elsewhere, and the temporary file says so. */
  readonly placement?: Placement;
}

export interface StageOptions {
  /** `client/name`, for messages. */
  readonly what: string;
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** Writes all of `source` to a new file in constant memory. On any failure the file is removed again. */
export async function stage(
  folder: string,
  name: string,
  source: Chunks,
  options: StageOptions,
): Promise<Staged> {
  const file = path.join(folder, name);
  const handle = await createFile(file);
  try {
    const sink = new Sink(handle, options);
    for await (const chunk of abortable(source, options.signal)) await sink.write(chunk);
    const content = await sink.end();
    const { ino } = await handle.stat({ bigint: true });
    return { name, ...content, inode: String(ino) };
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

/** Gathers small chunks into larger writes, and hashes while the disk writes. */
class Sink {
  readonly #handle: FileHandle;
  readonly #options: StageOptions;
  readonly #hash = createHash('sha256');
  #buffer = Buffer.alloc(0);
  #used = 0;
  #sizeBytes = 0;
  #head: Uint8Array | undefined;

  constructor(handle: FileHandle, options: StageOptions) {
    this.#handle = handle;
    this.#options = options;
  }

  async write(chunk: Uint8Array): Promise<void> {
    const { maxBytes, what, signal } = this.#options;
    this.#sizeBytes += chunk.length;
    if (this.#sizeBytes > maxBytes)
      throw fileTooLarge('max_file_bytes', what, this.#sizeBytes, maxBytes);
    if (this.#used === 0 && chunk.length >= LARGE_CHUNK_BYTES) {
      await this.#append(chunk);
      signal?.throwIfAborted();
      return;
    }
    for (let at = 0; at < chunk.length;) {
      this.#makeRoom(chunk.length - at);
      const piece = chunk.subarray(at, at + this.#buffer.length - this.#used);
      this.#buffer.set(piece, this.#used);
      this.#used += piece.length;
      at += piece.length;
      if (this.#used === BUFFER_BYTES) await this.#flush();
      signal?.throwIfAborted();
    }
  }

  async end(): Promise<{ sizeBytes: number; sha256: string; head: Uint8Array }> {
    await this.#flush();
    await this.#handle.sync();
    const sha256 = this.#hash.digest('hex');
    return { sizeBytes: this.#sizeBytes, sha256, head: this.#head ?? new Uint8Array() };
  }

  async #flush(): Promise<void> {
    await this.#append(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }

  /** A buffer that takes at least one byte more. */
  #makeRoom(bytes: number): void {
    if (this.#used + bytes <= this.#buffer.length || this.#buffer.length === BUFFER_BYTES) return;
    const isSmall = this.#used + bytes <= FIRST_BUFFER_BYTES;
    const larger = Buffer.allocUnsafeSlow(isSmall ? FIRST_BUFFER_BYTES : BUFFER_BYTES);
    larger.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = larger;
  }

  async #append(data: Uint8Array): Promise<void> {
    this.#head ??= Uint8Array.from(data.subarray(0, SNIFFED_BYTES));
    const writing = this.#writeAll(data);
    this.#hash.update(data);
    await writing;
  }

  /** A write may be a short one, such as just before the disk is full. */
  async #writeAll(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length;)
      at += (await this.#handle.write(data, at, data.length - at)).bytesWritten;
  }
}
