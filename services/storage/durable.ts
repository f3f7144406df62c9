import { constants } from 'node:fs';
import { lstat, mkdir, open, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { syncFolder } from '../../runtime/folder-sync.js';
import { makeFolder } from '../../runtime/made-folder.js';
import { notAFolder } from './failures.js';

/**
 * Makes a folder and those above it that are not there; all of them survive a power cut, those too that another process has made and may not
 * have come to sync.
 */
export async function makeFolders(folder: string): Promise<void> {
  await makeFolder(folder);
  for (let above = path.dirname(folder); ; above = path.dirname(above)) {
    try {
      await syncFolder(above);
    } catch (error) {
      // It is not ours, nor is what is above it.
      if (!['EACCES', 'EPERM', 'EROFS'].includes(systemCodeOf(error) ?? '')) throw error;
      return;
    }
    if (above === path.dirname(above)) return;
  }
}

/** A new file for writing, its folder known to be a plain one. */
export function createFile(file: string): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  return open(file, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o644);
}

/** Opens a file for reading; undefined if there is none. Doesn't follow a link (ELOOP) and doesn't wait for a pipe's writer. */
export async function openFile(file: string): Promise<FileHandle | undefined> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return await open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Replaces a small file as a whole: after a crash it has the old or the new text, once `syncFolder` was called for certain the
 * new one. `temporary` is on the same file system.
 */
export async function replaceFile(file: string, temporary: string, text: string): Promise<void> {
  const handle = await createFile(temporary);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
}

/** Whether there is a plain folder; anything else of that name, a link too, is an error. */
export async function isFolder(folder: string): Promise<boolean> {
  try {
    if ((await lstat(folder)).isDirectory()) return true;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
  throw notAFolder(path.basename(folder));
}

/** Makes a plain folder if it isn't there; true if it was made. */
export async function ensureFolder(folder: string): Promise<boolean> {
  if (await isFolder(folder)) return false;
  try {
    await mkdir(folder);
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== 'EEXIST') throw error;
    return !(await isFolder(folder));
  }
}
