import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

import { dataLoss } from './failures.js';
import type { FileRef } from './failures.js';
import type { FileRecord } from './metadata.js';

const HASH_CHUNK_BYTES = 256 * 1024;

export interface ReadOptions {
  readonly chunkBytes: number;
  /** Files up to this size are verified before the first byte is handed out. */
  readonly verifyFirstBytes: number;
  readonly signal: AbortSignal | undefined;
}

/**
 * The content in chunks, each a buffer of its own. The last chunk is handed out only after the hash was found right, so
 * that a reader never holds the whole of a damaged file.
 */
export async function* verifiedChunks(
  ref: FileRef,
  handle: FileHandle,
  record: FileRecord,
  options: ReadOptions,
): AsyncGenerator<Uint8Array, void> {
  const limit = record.sizeBytes <= options.verifyFirstBytes ? Infinity : 1;
  const held: Uint8Array[] = [];
  const hash = createHash('sha256');
  for await (const chunk of rawChunks(handle, record.sizeBytes, options)) {
    hash.update(chunk);
    held.push(chunk);
    if (held.length > limit) yield held.shift() ?? chunk;
  }
  if (hash.digest('hex') !== record.sha256)
    throw dataLoss(
      ref,
      `is damaged: its content is not what was stored (version ${String(record.version)}, SHA-256 ${record.sha256})`,
    );
  yield* held;
}

/** SHA-256 and first bytes of an open file. */
export async function hashOf(
  handle: FileHandle,
  sizeBytes: number,
  headBytes: number,
  signal: AbortSignal | undefined,
): Promise<{ sha256: string; head: Uint8Array }> {
  const hash = createHash('sha256');
  let head: Uint8Array | undefined;
  const options = { chunkBytes: HASH_CHUNK_BYTES, signal };
  for await (const chunk of rawChunks(handle, sizeBytes, options)) {
    head ??= Uint8Array.from(chunk.subarray(0, headBytes));
    hash.update(chunk);
  }
  return { sha256: hash.digest('hex'), head: head ?? new Uint8Array() };
}

async function* rawChunks(
  handle: FileHandle,
  sizeBytes: number,
  options: { readonly chunkBytes: number; readonly signal: AbortSignal | undefined },
): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < sizeBytes;) {
    options.signal?.throwIfAborted();
    const buffer = Buffer.allocUnsafeSlow(Math.min(options.chunkBytes, sizeBytes - at));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
