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

/** The content in chunks, each a buffer of its own, the last one only after the hash was found right. */
export function verifiedChunks(
  ref: FileRef,
  handle: FileHandle,
  record: FileRecord,
  options: ReadOptions,
): AsyncGenerator<Uint8Array, void> {
  const chunks = hashedChunks(ref, rawChunks(handle, record.sizeBytes, options), record);
  return heldBack(chunks, record.sizeBytes <= options.verifyFirstBytes);
}

/**
 * Holds the last chunk back, or all of them, until the source has ended without an error, so that a reader never holds the whole of a damaged
 * file.
 */
export async function* heldBack(
  chunks: AsyncIterable<Uint8Array>,
  all: boolean,
): AsyncGenerator<Uint8Array, void> {
  const held: Uint8Array[] = [];
  for await (const chunk of chunks) {
    held.push(chunk);
    if (!all && held.length > 1) yield held.shift() ?? chunk;
  }
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

async function* hashedChunks(
  ref: FileRef,
  chunks: AsyncIterable<Uint8Array>,
  record: FileRecord,
): AsyncGenerator<Uint8Array, void> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== record.sha256)
    throw dataLoss(
      ref,
      `is damaged: its content is not what was stored (version ${String(record.version)}, SHA-256 ${record.sha256})`,
    );
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
