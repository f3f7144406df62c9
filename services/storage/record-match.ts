import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

import { stubOf } from './depot.js';
import type { FileRecord, Metadata } from './metadata.js';
import { hashOf } from './reading.js';

/** Which record describes the content that was opened. */
export function recordOf(
  metadata: Metadata,
  stats: BigIntStats | undefined,
): FileRecord | undefined {
  if (!stats) return undefined;
  const { file, pending } = metadata;
  if (pending?.file?.inode === String(stats.ino)) return pending.file;
  return file?.foundMtimeNs !== undefined && !isSame(file, stats) ? undefined : file;
}

/** The same, also of a change that was under way when the folder was copied to another disk. */
export async function recordIn(
  metadata: Metadata,
  stats: BigIntStats | undefined,
  handle: FileHandle | undefined,
): Promise<FileRecord | undefined> {
  const { pending } = metadata;
  if (handle && stats && pending?.file && isCopied(metadata, stats))
    if (await holds(handle, stats, pending.file)) return pending.file;
  return recordOf(metadata, stats);
}

/** Whether a change that is pending has been made. */
export function isMade(
  { pending }: Metadata,
  stats: BigIntStats | undefined,
  record: FileRecord | undefined,
): boolean {
  if (!pending) return false;
  return pending.file ? record === pending.file : !stats;
}

/** Whether inodes don't tell the old content from the new one: only the content does. */
export function isCopied({ file, pending }: Metadata, stats: BigIntStats): boolean {
  const inode = String(stats.ino);
  return inode !== pending?.file?.inode && inode !== file?.inode;
}

/** Whether a content is the one that a record describes. */
export async function holds(
  handle: FileHandle,
  stats: BigIntStats,
  file: FileRecord,
): Promise<boolean> {
  const { sha256 } = await hashOf(handle, Number(stats.size), 0, undefined);
  return sha256 === hashAtPlace(file);
}

/** Whether a found file is as it was when it became known. */
export function isSame(found: FileRecord, stats: BigIntStats): boolean {
  return found.foundMtimeNs === String(stats.mtimeNs) && found.sizeBytes === Number(stats.size);
}

/** SHA-256 of what stands at the file's own place. */
function hashAtPlace(file: FileRecord): string {
  const { placement, sha256 } = file;
  if (!placement) return sha256;
  return createHash('sha256')
    .update(stubOf({ ...file, placement }))
    .digest('hex');
}
