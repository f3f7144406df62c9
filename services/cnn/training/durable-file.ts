import { status } from '@grpc/grpc-js';
import { open, rename, rm } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError, systemCodeOf } from '../../../runtime/errors.js';
import { syncFolder } from '../../../runtime/folder-sync.js';

const FULL: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const CLOSED: ReadonlySet<string | undefined> = new Set([
  ...['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EEXIST', 'EISDIR'],
]);

/** Replaces a file as a whole, on disk for certain. Throws what `diskFailure` says of `folder`; then the old file is as it was. */
export async function writeDurably(
  file: string,
  parts: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  folder = path.dirname(file),
): Promise<void> {
  const temporary = `${file}.${String(process.pid)}.tmp`;
  try {
    const handle = await open(temporary, 'w', 0o644);
    try {
      for await (const part of parts) await writeAll(handle, part);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
    await syncFolder(path.dirname(file));
  } catch (error) {
    await discard(temporary);
    throw diskFailure(error, folder);
  }
}

/** Takes away what could not be finished. Where that fails, it is for the same cause, and that cause is told. */
export async function discard(place: string): Promise<void> {
  await rm(place, { recursive: true, force: true }).catch(() => undefined);
}

/** The error to tell: DISK_FULL where there was no room, FOLDER_UNWRITABLE where writing is not allowed or something is in the way, what was thrown otherwise. */
export function diskFailure(error: unknown, folder: string): unknown {
  const code = systemCodeOf(error);
  if (CLOSED.has(code))
    return new FractoryError(
      status.FAILED_PRECONDITION,
      'FOLDER_UNWRITABLE',
      `the node can't write into ${folder} (${code ?? ''}): let its user write there`,
      { cause: error },
    );
  if (!FULL.has(code)) return error;
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'DISK_FULL',
    `the disk of ${folder} is full: make room there and try again; a training that was interrupted goes on with resume`,
    { cause: error },
  );
}

/** Writes all of `bytes` at the end of a file. */
export async function writeAll(
  handle: { write(bytes: Uint8Array): Promise<{ bytesWritten: number }> },
  bytes: Uint8Array,
): Promise<void> {
  for (let from = 0; from < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes.subarray(from));
    from += bytesWritten;
  }
}
