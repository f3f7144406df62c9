import type { FileHandle } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import { FractoryError, invalidArgument } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import { stubOf } from './depot.js';
import { dataLoss, nameOf } from './failures.js';
import type { FileRef } from './failures.js';
import type { FileRecord } from './metadata.js';

const SHA256 = /^[0-9a-f]{64}$/i;
const MAX_MEDIA_TYPE_CHARACTERS = 255;

export function checkRef(ref: FileRef): void {
  checkName('client', ref.client);
  checkName('name', ref.name);
}

/** Whether a client's files are the data center's own: `_runs` is the journal of durable runs. */
export function isReserved(client: string): boolean {
  return client.startsWith('_');
}

/** PERMISSION_DENIED for a client that only the data center itself may use. */
export function refuseReserved(client: string): void {
  if (!isReserved(client)) return;
  throw new FractoryError(
    status.PERMISSION_DENIED,
    'RESERVED_CLIENT',
    `client ${JSON.stringify(client.slice(0, 128))} is reserved: names of clients that start with _ are the data center's own`,
  );
}

export function checkWriteOptions(options: {
  readonly sha256?: string | undefined;
  readonly mediaType?: string | undefined;
}): void {
  const { sha256, mediaType } = options;
  if (sha256 && !SHA256.test(sha256))
    throw invalidArgument('sha256', 'is not 64 hexadecimal digits', 'BAD_HASH');
  if (!mediaType) return;
  const tooLong = mediaType.length > MAX_MEDIA_TYPE_CHARACTERS;
  if (tooLong || !/^[\w.+-]+\/[\w.+-]+(\s*;[ -~]*)?$/.test(mediaType))
    throw invalidArgument(
      'media_type',
      `${JSON.stringify(mediaType.slice(0, 80))} is not a media type such as image/png`,
      'BAD_MEDIA_TYPE',
    );
}

export function checkHash(ref: FileRef, actual: string, expected: string | undefined): void {
  if (!expected || expected.toLowerCase() === actual) return;
  throw invalidArgument(
    'sha256',
    `the upload of ${nameOf(ref)} has SHA-256 ${actual}, ${expected.toLowerCase()} was announced`,
    'HASH_MISMATCH',
  );
}

/** DATA_LOSS unless what stands at the place of a file can be what the record says. */
export async function checkPlace(
  ref: FileRef,
  handle: FileHandle,
  sizeBytes: number,
  record: FileRecord,
): Promise<void> {
  const { placement } = record;
  if (placement) {
    const stub = Buffer.from(stubOf({ ...record, placement }));
    if (sizeBytes !== stub.length || !(await handle.readFile()).equals(stub))
      throw dataLoss(
        ref,
        `is damaged: its content lies on ${placement.device}, and another was put in its place`,
      );
  } else if (sizeBytes !== record.sizeBytes)
    throw dataLoss(
      ref,
      `is damaged: it has ${String(sizeBytes)} bytes, ${String(record.sizeBytes)} were stored`,
    );
}
