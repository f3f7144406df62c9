import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError, systemCodeOf } from '../../runtime/errors.js';
import { ClientFolder } from './client-folder.js';
import { isReadOnly, translate } from './failures.js';
import type { FileRef } from './failures.js';
import { clientNames } from './listing.js';
import { subjectOf } from './owner.js';
import type { Owner } from './owner.js';

/** Temporary files of other machines, whose processes can't be seen, are left alone for a day. */
const FOREIGN_LIFETIME_MS = 86_400_000;

/** Removes what dead processes left under `root`, after `repair` has ended what they had begun. */
export async function sweep(
  root: string,
  owner: Owner,
  repair: (ref: FileRef) => Promise<void>,
): Promise<void> {
  for (const client of await clientNames(root)) {
    const folder = new ClientFolder(root, client);
    try {
      await sweepClient(folder, owner, repair);
    } catch (error) {
      // A folder that can only be read, or is none of ours, has its files served all the same.
      const failure = translate(error, 'write', client);
      if (!isReadOnly(failure) && !hasReason(failure, 'NOT_A_FOLDER')) throw failure;
    }
  }
}

async function sweepClient(
  folder: ClientFolder,
  owner: Owner,
  repair: (ref: FileRef) => Promise<void>,
): Promise<void> {
  if (!(await folder.exists())) return;
  for (const name of await entries(folder.temporary)) {
    const file = path.join(folder.temporary, name);
    if (!(await isLeftover(file, owner))) continue;
    const subject = subjectOf(name);
    // After a power cut folders may be missing, too.
    await folder.ensure();
    if (subject !== '') await repaired(() => repair({ client: folder.client, name: subject }));
    await rm(file, { force: true });
  }
  for (const name of await entries(folder.locks)) {
    const made = path.join(folder.locks, name);
    if (name.startsWith('new~') && (await isLeftover(made, owner)))
      await rm(made, { recursive: true, force: true });
  }
}

/** A damaged file must not keep the others from being served; whoever asks for it hears of it. */
async function repaired(repair: () => Promise<void>): Promise<void> {
  try {
    await repair();
  } catch (error) {
    if (!hasReason(error, 'DATA_LOSS') && !hasReason(error, 'NOT_A_FILE')) throw error;
  }
}

async function isLeftover(file: string, owner: Owner): Promise<boolean> {
  const life = await owner.lifeOf(path.basename(file));
  if (life !== 'unknown') return life === 'gone';
  // What is gone, or can't be looked at, is left alone.
  const found = await stat(file).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs > FOREIGN_LIFETIME_MS;
}

async function entries(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function hasReason(error: unknown, reason: string): boolean {
  return error instanceof FractoryError && error.reason === reason;
}
