import { mkdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from './errors.js';

/**
 * Makes a folder and those above it; one that is there already is right. Node's own `recursive` never ends where a file system refuses
 * new folders with ENOENT, as /proc does: here each folder is tried at most twice, and the error of the operating system is thrown.
 */
export async function makeFolder(folder: string): Promise<void> {
  try {
    await makeOne(folder);
  } catch (error) {
    const parent = path.dirname(folder);
    if (systemCodeOf(error) !== 'ENOENT' || parent === folder) throw error;
    await makeFolder(parent);
    await makeOne(folder);
  }
}

async function makeOne(folder: string): Promise<void> {
  try {
    await mkdir(folder);
  } catch (error) {
    const isThere = await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isThere) throw error;
  }
}
