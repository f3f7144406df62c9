import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

import { cancelled } from '../../runtime/errors.js';
import { createFile } from './durable.js';
import { fileTooLarge } from './failures.js';
import { SNIFFED_BYTES } from './media-types.js';

const BUFFER_BYTES = 256 * 1024;

/** A whole content in a temporary file, durable, not yet at its place. */
export interface Staged {
  readonly name: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly inode: string;
  /** The first bytes. */
  readonly head: Uint8Array;
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
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
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

/** Gathers chunks of any size into writes of one size, hashing on the way. */
class Sink {
  readonly #handle: FileHandle;
  readonly #options: StageOptions;
  readonly #hash = createHash('sha256');
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
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
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + BUFFER_BYTES - this.#used);
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
    const data = this.#buffer.subarray(0, this.#used);
    this.#head ??= Uint8Array.from(data.subarray(0, SNIFFED_BYTES));
    this.#hash.update(data);
    // A write may be a short one, such as just before the disk is full.
    for (let at = 0; at < data.length;)
      at += (await this.#handle.write(data, at, data.length - at)).bytesWritten;
    this.#used = 0;
  }
}

/** The same items; throws the reason of `signal` as soon as it aborts, also while the source is silent. */
async function* abortable<T>(
  source: AsyncIterable<T> | Iterable<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<T, void> {
  if (!signal) {
    yield* source;
    return;
  }
  signal.throwIfAborted();
  const iterator = iteratorOf(source);
  let ended = false;
  try {
    for (;;) {
      const next = await unlessAborted(() => iterator.next(), signal);
      ended = next.done === true;
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // A silent source would keep us waiting for its end: it is told, not waited for.
    if (!ended) void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/**
 * The promise of `start`, or the reason of `signal` if that comes first. A promise and a listener of its own for each call: a race against
 * one promise that lives as long as the signal would keep the results of all calls, that is, the whole file.
 */
function unlessAborted<T>(start: () => Promise<T> | T, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const fail = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : cancelled());
    };
    if (signal.aborted) {
      fail();
      return;
    }
    signal.addEventListener('abort', fail, { once: true });
    Promise.resolve(start())
      .then(resolve, reject)
      .finally(() => {
        signal.removeEventListener('abort', fail);
      });
  });
}

function iteratorOf<T>(source: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> | Iterator<T> {
  return Symbol.asyncIterator in source
    ? source[Symbol.asyncIterator]()
    : source[Symbol.iterator]();
}
