import { status } from '@grpc/grpc-js';

import { FractoryError, limitExceeded, systemCodeOf } from '../../runtime/errors.js';
import type { StatusCode } from '../../runtime/errors.js';

/** Names a file: `admin/cat.jpg`. Both parts are checked names. */
export interface FileRef {
  readonly client: string;
  readonly name: string;
}

export const nameOf = (ref: FileRef): string => `${ref.client}/${ref.name}`;

export function fileNotFound(ref: FileRef): FractoryError {
  return new FractoryError(status.NOT_FOUND, 'FILE_NOT_FOUND', `there is no file ${nameOf(ref)}`);
}

/** ABORTED, as google.rpc wants it of a failed test-and-set: read again and decide anew, don't just repeat. */
export function versionMismatch(ref: FileRef, expected: bigint, actual: bigint): FractoryError {
  const found = actual === 0n ? 'it does not exist' : `it has version ${String(actual)}`;
  const wanted =
    expected === 0n ? 'it must not exist' : `version ${String(expected)} was asked for`;
  return new FractoryError(
    status.ABORTED,
    'VERSION_MISMATCH',
    `${nameOf(ref)}: ${wanted}, ${found}`,
    { metadata: { version: String(actual) } },
  );
}

/** A leader of a later epoch has changed files here: this one does not lead any more, whatever it believes. */
export function fenced(epoch: bigint, by: bigint): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'FENCED',
    `epoch ${String(epoch)} is over: the storage folder has been written in epoch ${String(by)}`,
    { metadata: { epoch: String(epoch), fence: String(by) } },
  );
}

export function fileTooLarge(limit: string, what: string, bytes: number, allowed: number) {
  const error = limitExceeded(limit, `${String(bytes)} bytes or more`, `${String(allowed)} bytes`, {
    what,
  });
  return new FractoryError(error.code, 'FILE_TOO_LARGE', error.message, {
    metadata: { limit, allowed: String(allowed) },
  });
}

export function dataLoss(ref: FileRef, what: string): FractoryError {
  return new FractoryError(
    status.DATA_LOSS,
    'DATA_LOSS',
    `${nameOf(ref)} ${what}; put it again or delete it`,
  );
}

/** Whether extents are not there any more. */
export function isFreed(thrown: unknown): boolean {
  return thrown instanceof FractoryError && thrown.reason === 'EXTENT_NOT_FOUND';
}

export function contentLost(ref: FileRef, device: string): FractoryError {
  return dataLoss(ref, `is lost: ${device} does not have its content any more`);
}

export function notAFile(ref: FileRef, what: string): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'NOT_A_FILE',
    `${nameOf(ref)} is ${what}, not a plain file; links are never followed`,
  );
}

export function notAFolder(folder: string): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'NOT_A_FOLDER',
    `${folder} in the storage folder is not a plain folder; links are never followed`,
  );
}

type Failure = readonly [code: StatusCode, reason: string, text: string, retryAfterMs?: number];

const FULL: Failure = [status.RESOURCE_EXHAUSTED, 'DISK_FULL', 'the disk is full'];
const READ_ONLY: Failure = [
  status.FAILED_PRECONDITION,
  'STORAGE_READ_ONLY',
  'the storage folder can not be written',
];
const NO_ACCESS: Failure = [
  status.FAILED_PRECONDITION,
  'STORAGE_UNREADABLE',
  'the node may not read it',
];
const BUSY: Failure = [
  status.RESOURCE_EXHAUSTED,
  'TOO_MANY_OPEN_FILES',
  'too many files are open',
  500,
];
const BROKEN: Failure = [status.DATA_LOSS, 'DISK_FAILED', 'the disk failed'];
const GONE: Failure = [
  status.FAILED_PRECONDITION,
  'STORAGE_MISSING',
  'the storage folder is not there',
];

const ANY: Readonly<Record<string, Failure>> = {
  ENOSPC: FULL,
  EDQUOT: [status.RESOURCE_EXHAUSTED, 'DISK_FULL', 'the disk quota is used up'],
  EFBIG: FULL,
  EROFS: READ_ONLY,
  EMFILE: BUSY,
  ENFILE: BUSY,
  EIO: BROKEN,
  ENOENT: GONE,
  ENOTDIR: GONE,
};
const READING: Readonly<Record<string, Failure>> = { EACCES: NO_ACCESS, EPERM: NO_ACCESS };
const WRITING: Readonly<Record<string, Failure>> = { EACCES: READ_ONLY, EPERM: READ_ONLY };

/**
 * The one translator of the operating system's errors. Anything that it doesn't know is a bug and stays as it is. The text
 * keeps the system's code and never the path on this machine.
 */
export function translate(thrown: unknown, doing: 'read' | 'write', what: string): unknown {
  const systemCode = systemCodeOf(thrown);
  if (thrown instanceof FractoryError || systemCode === undefined) return thrown;
  const failure = (doing === 'read' ? READING : WRITING)[systemCode] ?? ANY[systemCode];
  if (!failure) return thrown;
  const [code, reason, text, retryAfterMs] = failure;
  return new FractoryError(code, reason, `can not ${doing} ${what}: ${text} (${systemCode})`, {
    cause: thrown,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** Runs `work` and translates what it throws. */
export async function translated<T>(
  doing: 'read' | 'write',
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translate(error, doing, what);
  }
}

/** Whether a write failed only because the folder can't be written: readers go on without it. */
export function isReadOnly(thrown: unknown): boolean {
  return thrown instanceof FractoryError && thrown.reason === 'STORAGE_READ_ONLY';
}
