import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { limitExceeded, systemCodeOf } from '../../../runtime/errors.js';

export interface RoomOptions {
  /** Bytes that are to come. */
  readonly bytes: number;
  /** Name of the file that they come as: replaced if it is there. */
  readonly for: string;
  /** Bytes of all data sets. */
  readonly most: number;
  /** Names of files that stay. */
  readonly keep: ReadonlySet<string>;
}

interface KeptFile {
  readonly name: string;
  readonly sizeBytes: number;
  readonly usedMs: number;
}

const DATA_SET = /^[0-9a-f]{64}\.tar$/;
const UNFINISHED = /^\.[0-9a-f-]{36}\.tmp$/;
/** An upload that goes on writes more often. */
const ABANDONED_MS = 3_600_000;

/** Makes room for a data set: those that were used longest ago leave, and what uploads left that died with their node. LIMIT_EXCEEDED where that is not enough. */
export async function makeRoom(folder: string, options: RoomOptions): Promise<void> {
  const files = await filesIn(folder);
  const oldMs = Date.now() - ABANDONED_MS;
  for (const { name, usedMs } of files)
    if (UNFINISHED.test(name) && usedMs < oldMs) await rm(path.join(folder, name), { force: true });
  const others = files.filter(({ name }) => DATA_SET.test(name) && name !== options.for);
  let left = others.reduce((sum, { sizeBytes }) => sum + sizeBytes, options.bytes);
  const free = others.filter(({ name }) => !options.keep.has(name));
  const kept = left - free.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  if (kept > options.most)
    throw limitExceeded('max_data_sets_bytes', kept, options.most, {
      what: 'size of this data set and of those that trainings need still (delete training/runs/NAME of those that shall not go on), in bytes,',
    });
  for (const { name, sizeBytes } of free.sort((a, b) => a.usedMs - b.usedMs)) {
    if (left <= options.most) return;
    await rm(path.join(folder, name), { force: true });
    left -= sizeBytes;
  }
}

async function filesIn(folder: string): Promise<readonly KeptFile[]> {
  const found: KeptFile[] = [];
  for (const name of await readdir(folder))
    try {
      const { size, mtimeMs } = await stat(path.join(folder, name));
      found.push({ name, sizeBytes: size, usedMs: mtimeMs });
    } catch (error) {
      // Another node was quicker.
      if (systemCodeOf(error) !== 'ENOENT') throw error;
    }
  return found;
}
