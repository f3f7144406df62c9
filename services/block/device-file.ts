import { randomBytes } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { syncFolder } from '../../runtime/folder-sync.js';
import type { Logger } from '../../runtime/logger.js';
import { deviceDamaged, unusable } from './failures.js';
import { ExtentTable } from './extent-table.js';
import { Image } from './image.js';
import { Journal } from './journal.js';
import type { Recovered } from './journal-text.js';

export interface DeviceFileOptions {
  /** The device file; the journal stands beside it. Absolute. */
  readonly file: string;
  /** Name of the device, for messages. */
  readonly name: string;
  readonly capacityBytes: number;
  readonly blockBytes: number;
  readonly log: Logger;
  /** A journal shorter than this is not compacted. */
  readonly compactBytes?: number;
}

/** Opens image and journal, makes them where there are none, and lets them grow; the lock is held. Refuses what doesn't belong together. */
export async function openDeviceFile(
  options: DeviceFileOptions,
): Promise<{ image: Image; journal: Journal }> {
  const { file, name, blockBytes } = options;
  const journalFile = `${file}.journal`;
  const capacityBlocks = Math.floor(options.capacityBytes / blockBytes);
  const sizeBytes = await sizeOf(file);
  let found = await Journal.read(journalFile, name);
  if (!found && sizeBytes)
    throw unusable(
      'JOURNAL_MISSING',
      `${name}: there is a device file without its journal, so nobody knows what is in use; move it away to begin anew`,
    );
  if (!found || grows(options, found, capacityBlocks)) {
    await Journal.create(
      journalFile,
      {
        device: found?.header.device ?? randomBytes(16).toString('hex'),
        blockBytes,
        capacityBlocks,
      },
      found ? grown(found.table, capacityBlocks) : new ExtentTable(capacityBlocks),
    );
    found = await Journal.read(journalFile, name);
  }
  if (!found) throw deviceDamaged(name, 'the journal is gone');
  // The journal comes first: without the file nothing can be in use yet.
  if (sizeBytes === undefined) await create(file, name, found.table);
  const image = await Image.open(file, name, capacityBlocks * blockBytes);
  try {
    const { log, compactBytes } = options;
    const more = compactBytes === undefined ? {} : { compactBytes };
    return {
      image,
      journal: await Journal.open({ file: journalFile, device: name, log, ...more }, found),
    };
  } catch (error) {
    await image.close();
    throw error;
  }
}

function grows(
  { name, blockBytes }: DeviceFileOptions,
  { header }: Recovered,
  capacityBlocks: number,
): boolean {
  if (header.blockBytes !== blockBytes)
    throw unusable(
      'BLOCK_SIZE_MISMATCH',
      `${name} has blocks of ${String(header.blockBytes)} bytes, block_bytes is ${String(blockBytes)}`,
    );
  if (header.capacityBlocks > capacityBlocks)
    throw unusable(
      'DEVICE_SHRINKS',
      `${name} has ${String(header.capacityBlocks * blockBytes)} bytes and can't be made smaller: raise capacity_bytes`,
    );
  return header.capacityBlocks < capacityBlocks;
}

/** The same table with more free blocks. */
function grown(table: ExtentTable, capacityBlocks: number): ExtentTable {
  const larger = new ExtentTable(capacityBlocks);
  for (const change of table.snapshot()) larger.apply(change);
  return larger;
}

async function create(file: string, name: string, table: ExtentTable): Promise<void> {
  if (table.extents.size > 0)
    throw deviceDamaged(
      name,
      `the device file is gone with ${String(table.extents.size)} extents; move its journal away to begin anew`,
    );
  const handle = await open(file, 'wx', 0o600);
  await handle.close();
  await syncFolder(path.dirname(file));
}

async function sizeOf(file: string): Promise<number | undefined> {
  try {
    const found = await stat(file);
    if (found.isFile()) return found.size;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  throw unusable('NOT_A_FILE', `${path.basename(file)} is not a plain file`);
}
