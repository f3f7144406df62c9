import { status } from '@grpc/grpc-js';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { Transform } from 'node:stream';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import type { Entry, Headers } from 'tar-stream';

import { FractoryError, limitExceeded, messageOf } from '../../../../runtime/errors.js';
import { shortened } from './placement.js';
import type { PictureSource, SourceFile } from './source.js';

const GZIP = [0x1f, 0x8b] as const;
/** Between two files: long names and the like, which the reader keeps in memory, and blocks of zeros. */
const MAX_BETWEEN_BYTES = 1024 ** 2;
const SIZE_LIMIT = 'max_data_set_bytes';

/**
 * The files of a tar, packed with gzip or not, in its order. Nothing is unpacked to disk, so no name in it can lead anywhere. Errors: BAD_TAR; LIMIT_EXCEEDED
 * where it is longer than `maxBytes` when unpacked.
 */
export function tarSource(file: string, maxBytes: number): PictureSource {
  return { files: (signal) => filesOf(file, maxBytes, signal) };
}

async function* filesOf(
  file: string,
  maxBytes: number,
  signal: AbortSignal,
): AsyncGenerator<SourceFile, void> {
  const entries = extract();
  const guard = new TarGuard(maxBytes);
  const parts: [Readable, ...NodeJS.ReadWriteStream[]] = [createReadStream(file, { signal })];
  if (await isPacked(file)) parts.push(createGunzip());
  parts.push(guard);
  // What goes wrong on the way comes out of `entries`.
  pipeline([...parts, entries as unknown as NodeJS.WritableStream], () => undefined);
  try {
    for await (const entry of entries) {
      guard.passed(sizeOf(entry));
      yield* fileOf(entry, signal);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof FractoryError) throw error;
    throw badTar(messageOf(error));
  } finally {
    entries.destroy();
  }
}

async function* fileOf(entry: Entry, signal: AbortSignal): AsyncGenerator<SourceFile, void> {
  const { name: path, size = 0, type } = entry.header;
  let content: Promise<Uint8Array> | undefined;
  const read = (): Promise<Uint8Array> => (content ??= collect(entry, signal));
  // The reader takes a folder's size for nothing, and never ends its content.
  if (type === 'directory') return;
  const problem = problemOf(type);
  yield { path, sizeBytes: size, ...(problem === undefined ? {} : { problem }), read };
  if (content) await content;
  else await skip(entry);
}

/** A tar writes sizes in several ways, not all of which make sense. */
function sizeOf({ header: { name, size = 0 } }: Entry): number {
  if (Number.isSafeInteger(size) && size >= 0) return size;
  throw badTar(`${shortened(name)} has a size of ${String(size)}`);
}

/** Ends a tar that would fill the memory, or never end. */
class TarGuard extends Transform {
  readonly #maxBytes: number;
  #bytes = 0;
  #mayReach = MAX_BETWEEN_BYTES;

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
  }

  /** A file of so many bytes begins. */
  passed(sizeBytes: number): void {
    this.#mayReach = this.#bytes + sizeBytes + MAX_BETWEEN_BYTES;
  }

  override _transform(
    chunk: Uint8Array,
    _encoding: string,
    done: (error: Error | null, chunk?: Uint8Array) => void,
  ): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes)
      done(
        limitExceeded(SIZE_LIMIT, `more than ${String(this.#maxBytes)}`, this.#maxBytes, {
          what: 'size of the unpacked data set in bytes',
        }),
      );
    else if (this.#bytes > this.#mayReach)
      done(badTar(`there are more than ${String(MAX_BETWEEN_BYTES)} bytes without a file`));
    else done(null, chunk);
  }
}

function problemOf(type: Headers['type']): string | undefined {
  switch (type) {
    case 'file':
    case 'contiguous-file':
      return undefined;
    case 'symlink':
      return 'is a symbolic link';
    case 'link':
      return 'is a hard link';
    default:
      return `is no file, but ${type ?? 'something unknown'}`;
  }
}

async function collect(entry: Entry, signal: AbortSignal): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of entry) chunks.push(chunk);
  signal.throwIfAborted();
  return Buffer.concat(chunks);
}

/** The next entry comes when this one was read. */
function skip(entry: Entry): Promise<void> {
  return new Promise((resolve, reject) => {
    entry.once('end', resolve).once('close', resolve).once('error', reject).resume();
  });
}

async function isPacked(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return buffer[0] === GZIP[0] && buffer[1] === GZIP[1];
  } finally {
    await handle.close();
  }
}

function badTar(problem: string): FractoryError {
  return new FractoryError(
    status.INVALID_ARGUMENT,
    'BAD_TAR',
    `the data set is no tar that can be read to its end: ${problem}`,
    { violations: [{ field: 'data_set', description: problem }] },
  );
}
