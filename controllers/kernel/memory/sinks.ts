import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import type { OpenWrite } from './open-memory.js';
import type { ChunkSink } from './remote-memories.js';
import { damaged } from './transfer-hash.js';
import type { TransferHash } from './transfer-hash.js';

/** Chunks that wait for a slow reader. */
const MAX_WAITING = 2;

/** Fills one buffer of the size that the content is known to have: nothing is copied. */
export class BufferSink implements ChunkSink {
  readonly #target: Uint8Array;
  readonly #hash: TransferHash;
  #at = 0;

  constructor(target: Uint8Array, hash: TransferHash) {
    this.#target = target;
    this.#hash = hash;
  }

  begin(sizeBytes: number): void {
    if (sizeBytes !== this.#target.length) throw otherSize(sizeBytes, this.#target.length);
  }

  room(length: number): Uint8Array {
    this.#at += length;
    return this.#target.subarray(this.#at - length, this.#at);
  }

  filled(chunk: Uint8Array): void {
    this.#hash.add(chunk);
  }
}

/** Hands chunks to whoever iterates over it; each is the reader's own. Reading pauses while the reader is behind. */
export class StreamSink implements ChunkSink {
  readonly #sizeBytes: number;
  readonly #hash: TransferHash;
  readonly #waiting: Uint8Array[] = [];
  #wakeReader: (() => void) | undefined;
  #wakeWriter: (() => void) | undefined;
  #end: { readonly error?: unknown } | undefined;

  constructor(sizeBytes: number, hash: TransferHash) {
    this.#sizeBytes = sizeBytes;
    this.#hash = hash;
  }

  begin(sizeBytes: number): void {
    if (sizeBytes !== this.#sizeBytes) throw otherSize(sizeBytes, this.#sizeBytes);
  }

  room(length: number): Uint8Array {
    return Buffer.allocUnsafeSlow(length);
  }

  filled(chunk: Uint8Array): Promise<void> | void {
    this.#hash.add(chunk);
    this.#waiting.push(chunk);
    this.#wakeReader?.();
    if (this.#waiting.length < MAX_WAITING) return undefined;
    return new Promise((resolve) => {
      this.#wakeWriter = resolve;
    });
  }

  /** Nothing more comes: because all is here, or because of an error. */
  end(outcome: { readonly error?: unknown } = {}): void {
    this.#end ??= outcome;
    this.#wakeReader?.();
  }

  /** Throws the error of an early end at once, whatever still waits. */
  async *chunks(): AsyncGenerator<Uint8Array, void> {
    while (true) {
      if (this.#end && 'error' in this.#end) throw this.#end.error;
      const chunk = this.#waiting.shift();
      this.#wakeWriter?.();
      this.#wakeWriter = undefined;
      if (chunk) yield chunk;
      else if (this.#end) return;
      else
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      this.#wakeReader = undefined;
    }
  }
}

/** Writes into a memory of this node from its beginning, through one buffer that is used again for every chunk. */
export class WriteSink implements ChunkSink {
  readonly #target: OpenWrite;
  readonly #hash: TransferHash;
  #buffer = new Uint8Array(0);

  constructor(target: OpenWrite, hash: TransferHash) {
    this.#target = target;
    this.#hash = hash;
  }

  begin(sizeBytes: number): void {
    checkRoom(sizeBytes, this.#target);
  }

  room(length: number): Uint8Array {
    this.#target.check();
    if (this.#buffer.length < length) this.#buffer = Buffer.allocUnsafeSlow(length);
    return this.#buffer.subarray(0, length);
  }

  filled(chunk: Uint8Array): Promise<void> | void {
    const writing = this.#target.write(chunk);
    this.#hash.add(chunk);
    return writing;
  }
}

/** OUT_OF_RANGE where so much does not fit into the destination of a copy. */
export function checkRoom(sizeBytes: number, target: OpenWrite): void {
  if (sizeBytes <= target.sizeBytes) return;
  throw new FractoryError(
    status.OUT_OF_RANGE,
    'OUT_OF_BOUNDS',
    `the source has ${String(sizeBytes)} bytes, the destination has room for ${String(target.sizeBytes)}`,
  );
}

function otherSize(found: number, expected: number): FractoryError {
  return damaged(
    `the memory has ${String(found)} bytes at its owner instead of ${String(expected)}`,
  );
}
