import { createHash } from 'node:crypto';

import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';

/** Counts and, where that is wanted, hashes the bytes of one transfer. */
export class TransferHash {
  readonly #hash;
  #sizeBytes = 0;
  #digest: Uint8Array | undefined;

  constructor(hashed: boolean) {
    this.#hash = hashed ? createHash('sha256') : undefined;
  }

  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  add(chunk: Uint8Array): void {
    this.#sizeBytes += chunk.length;
    this.#hash?.update(chunk);
  }

  /** 32 bytes, or none where nothing was hashed. Nothing can be added afterwards. */
  get sha256(): Uint8Array {
    this.#digest ??= this.#hash?.digest() ?? new Uint8Array(0);
    return this.#digest;
  }

  /** DATA_LOSS unless exactly this has been transferred; an empty hash is not compared. */
  expect(what: string, sizeBytes: number, sha256: Uint8Array): void {
    if (this.#sizeBytes !== sizeBytes)
      throw damaged(`${what} has ${String(this.#sizeBytes)} bytes instead of ${String(sizeBytes)}`);
    if (this.#hash && sha256.length > 0 && Buffer.compare(this.sha256, sha256) !== 0)
      throw damaged(`the ${String(sizeBytes)} bytes of ${what} do not have the hash that was told`);
  }
}

/** What was read is not what was kept. */
export function damaged(message: string): FractoryError {
  return new FractoryError(status.DATA_LOSS, 'CONTENT_DAMAGED', message);
}
