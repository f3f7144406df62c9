import { link, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../runtime/errors.js';
import { makeFolder } from '../runtime/made-folder.js';

let written = 0;

async function temporary(file: string, content: string): Promise<string> {
  await makeFolder(path.dirname(file));
  const name = `${file}.${String(process.pid)}-${String(written++)}`;
  await writeFile(name, content, { mode: 0o600 });
  return name;
}

/** Replaces a file; readers see the old content or the new, nothing between. */
export async function replaceFile(file: string, content: string): Promise<void> {
  await rename(await temporary(file, content), file);
}

/** Creates a file with all its content at once; false if it is there already. */
export async function createFile(file: string, content: string): Promise<boolean> {
  const made = await temporary(file, content);
  try {
    await link(made, file);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(made);
  }
}

/** The content of a file; undefined if there is none. */
export async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function removeIfThere(file: string): Promise<void> {
  try {
    await unlink(file);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
