import { createHash } from 'node:crypto';

import { status } from '@grpc/grpc-js';

import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import { bytesValue } from '../../protos/values.js';
import { FractoryError } from '../../runtime/errors.js';
import { abortable } from '../../services/storage/abortable.js';
import type { Chunks } from '../../services/storage/abortable.js';
import type { Deposit, DepositOptions, KeptSource } from '../../services/storage/depot.js';
import { fileTooLarge } from '../../services/storage/failures.js';
import { SNIFFED_BYTES } from '../../services/storage/media-types.js';
import { narrow } from '../kernel/capabilities/token.js';
import type { MemoryAccess } from '../kernel/memory/access.js';
import type { BlockCalls, OpenedExtents } from './block-calls.js';
import { PieceReader } from './piece-reader.js';

/**
 * Sizes of extents. All but the last of a file are whole numbers of MiB, which every size of blocks divides: content goes on where the extent before
 * has ended.
 */
const MIB = 1024 ** 2;
const MAX_PIECE_BYTES = 64 * MIB;
/** A piece of a stream of unknown length is this part of what was written before: what is set aside in vain is less. */
const GROWTH = 4;
/** Writing is over sooner, or the whole node is. */
const WRITE_LEASE_MS = 3_600_000;

export interface DepositParts {
  readonly device: string;
  readonly calls: BlockCalls;
  readonly memory: MemoryAccess;
  /** Sets an extent aside; `extents` gets its id. */
  readonly allocate: (sizeBytes: number) => Promise<string>;
  readonly signal: AbortSignal;
}

type Stored = Omit<Deposit, 'placement'>;

/** Writes a stream into extents that are set aside as it comes. Short content gets an extent of its own size, of long content a fifth may be unused. */
export async function depositStream(
  parts: DepositParts,
  source: Chunks,
  { what, maxBytes }: DepositOptions,
): Promise<Stored> {
  const reader = new PieceReader(abortable(source, parts.signal), { what, maxBytes });
  try {
    for (let written = 0; ;) {
      const held = await reader.hold(MIB);
      if (held === 0) return reader.result();
      const size = reader.isAtEnd && held <= MAX_PIECE_BYTES ? held : pieceBytes(written, held);
      await inNewExtent(parts, size, async (capability) => {
        await parts.memory.write(capability, 0, reader.piece(size), parts.signal);
      });
      written += size;
    }
  } finally {
    reader.cancel();
  }
}

/** Has the device copy the content straight from its producer: no byte of it passes here. */
export async function depositCopy(
  parts: DepositParts,
  { memory: source }: KeptSource,
  { what, maxBytes, wantsHead }: DepositOptions,
): Promise<Stored> {
  const sizeBytes = Number(source.sizeBytes);
  if (sizeBytes > maxBytes) throw fileTooLarge('max_file_bytes', what, sizeBytes, maxBytes);
  if (!source.capability) throw denied(what);
  const from = source.capability;
  if (sizeBytes === 0)
    return { sizeBytes, sha256: createHash('sha256').digest('hex'), head: new Uint8Array() };
  const extents: string[] = [];
  for (let left = sizeBytes; left > 0; left -= MAX_PIECE_BYTES)
    extents.push(await parts.allocate(Math.min(left, MAX_PIECE_BYTES)));
  const opened = await openWritable(parts, extents, sizeBytes);
  try {
    const { signal } = parts;
    const end = await parts.memory.copy(from, opened.capability, { sha256: true, signal });
    const isRight = source.sha256.length === 0 || Buffer.compare(end.sha256, source.sha256) === 0;
    if (Number(end.sizeBytes) !== sizeBytes || !isRight) throw damaged(what);
    const head = wantsHead ? await headOf(parts, opened, sizeBytes) : new Uint8Array();
    return { sizeBytes, sha256: Buffer.from(end.sha256).toString('hex'), head };
  } finally {
    await close(parts, opened);
  }
}

function pieceBytes(written: number, held: number): number {
  const wanted = Math.floor(Math.max(written / GROWTH, held) / MIB) * MIB;
  return Math.min(Math.max(wanted, MIB), MAX_PIECE_BYTES);
}

async function inNewExtent(
  parts: DepositParts,
  sizeBytes: number,
  write: (capability: Capability) => Promise<void>,
): Promise<void> {
  const opened = await openWritable(parts, [await parts.allocate(sizeBytes)], sizeBytes);
  try {
    await write(opened.capability);
  } finally {
    await close(parts, opened);
  }
}

function openWritable(
  { calls, device, signal }: DepositParts,
  extents: readonly string[],
  sizeBytes: number,
): Promise<OpenedExtents> {
  const request = { extents, sizeBytes: BigInt(sizeBytes), writable: true };
  return calls.open(device, { ...request, leaseMs: WRITE_LEASE_MS }, signal);
}

/** Nobody writes there any more. What ended the write may also have ended the signal, and the extents are freed then. */
async function close({ memory, signal }: DepositParts, { revoker }: OpenedExtents): Promise<void> {
  if (revoker && !signal.aborted) await memory.revoke(revoker, signal);
}

async function headOf(
  { memory, signal }: DepositParts,
  opened: OpenedExtents,
  sizeBytes: number,
): Promise<Uint8Array> {
  const length = BigInt(Math.min(SNIFFED_BYTES, sizeBytes));
  const part = {
    capability: narrow(opened.capability, { range: { offset: 0n, length } }),
    ...{ sizeBytes: length, form: bytesValue('', new Uint8Array()), sha256: new Uint8Array() },
  };
  const chunks: Uint8Array[] = [];
  for await (const chunk of memory.stream(part, signal)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function damaged(what: string): FractoryError {
  return new FractoryError(
    status.DATA_LOSS,
    'CONTENT_DAMAGED',
    `the content of ${what} that was copied is not what its producer said`,
  );
}

function denied(what: string): FractoryError {
  return new FractoryError(
    status.PERMISSION_DENIED,
    'CAPABILITY_DENIED',
    `the content of ${what} comes without a capability`,
  );
}
