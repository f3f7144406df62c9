import { randomBytes } from 'node:crypto';
import { link, readFile, rm } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { syncFolder } from '../../runtime/folder-sync.js';
import { makeFolder } from '../../runtime/made-folder.js';
import { HIDDEN } from './client-folder.js';
import { createFile } from './durable.js';
import type { Owner } from './owner.js';

/**
 * Id of a storage folder, made once and the same for all who serve it: 128 random bits in hex. It is in the labels of the extents of its files, and
 * nobody else can ask for those.
 */
export async function rootIdOf(root: string, owner: Owner): Promise<string> {
  const folder = path.join(root, HIDDEN);
  const file = path.join(folder, 'id');
  const known = await idIn(file);
  if (known !== undefined) {
    // Whoever made it may not have come to sync it.
    await syncFolder(folder);
    await syncFolder(root);
    return known;
  }
  await makeFolder(folder);
  await syncFolder(root);
  const temporary = path.join(folder, owner.newName('id'));
  const handle = await createFile(temporary);
  try {
    await handle.writeFile(`${randomBytes(16).toString('hex')}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    // Unlike a rename it never replaces the id that a rival made first.
    await link(temporary, file);
    await syncFolder(folder);
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  return (await readFile(file, 'utf8')).trim();
}

async function idIn(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}
