import { lstat, readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { pack } from 'tar-stream';
import type { Pack } from 'tar-stream';

import { messageOf, systemCodeOf } from '../../runtime/errors.js';

/** Why a file of a folder is not sent. */
export interface LeftFile {
  readonly name: string;
  readonly reason: string;
}

interface FolderFile {
  /** Relative to the folder, with slashes. */
  readonly name: string;
  readonly sizeBytes: number;
}

/** What of a folder is sent. */
export interface FolderContent {
  readonly files: readonly FolderFile[];
  readonly left: readonly LeftFile[];
  readonly totalBytes: number;
}

/** Time of all files in the tar: the same pictures make the same tar. */
const NO_TIME = new Date(0);
const SIZE_LIMIT = 'max_image_bytes';

/** Looks at all files of a folder and those below it, by name. Hidden ones are left out; links, and what can't be read or is too large, are told. */
export async function folderContent(folder: string, maxFileBytes: number): Promise<FolderContent> {
  const files: FolderFile[] = [];
  const left: LeftFile[] = [];
  const look = async (below: string): Promise<void> => {
    for (const entry of await entriesOf(path.join(folder, below), below, left)) {
      const name = path.posix.join(below, entry.name);
      if (entry.name.startsWith('.')) continue;
      if (entry.isDirectory()) await look(name);
      else if (entry.isSymbolicLink()) left.push({ name, reason: 'is a symbolic link' });
      else if (!entry.isFile()) left.push({ name, reason: 'is no plain file' });
      else {
        const { size } = await lstat(path.join(folder, name));
        if (size <= maxFileBytes) files.push({ name, sizeBytes: size });
        else left.push({ name, reason: tooLarge(size, maxFileBytes) });
      }
    }
  };
  await look('');
  const totalBytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  return { files, left, totalBytes };
}

/** The files as a tar, made on the way; one that can't be read after all is told to `onLeft`. */
export async function* tarOf(
  folder: string,
  files: readonly FolderFile[],
  onLeft: (file: LeftFile) => void,
): AsyncGenerator<Uint8Array, void> {
  const tar = pack();
  const filled = fill(tar, folder, files, onLeft).catch((error: unknown) => {
    tar.destroy(error instanceof Error ? error : new Error(messageOf(error)));
  });
  try {
    for await (const chunk of tar) yield chunk;
    await filled;
  } finally {
    tar.destroy();
  }
}

async function fill(
  tar: Pack,
  folder: string,
  files: readonly FolderFile[],
  onLeft: (file: LeftFile) => void,
): Promise<void> {
  for (const { name } of files) {
    const content = await contentOf(path.join(folder, name));
    if (typeof content === 'string') onLeft({ name, reason: content });
    else await add(tar, name, content);
    if (tar.destroyed) return;
  }
  tar.finalize();
}

/** The next file is read when this one was taken. */
function add(tar: Pack, name: string, content: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const head = { name, mode: 0o644, mtime: NO_TIME, size: content.length };
    tar.once('close', resolve);
    tar.entry(head, content, (error) => {
      tar.off('close', resolve);
      if (error) reject(error instanceof Error ? error : new Error(String(error)));
      else resolve();
    });
  });
}

/** The content, or why it can't be read. */
async function contentOf(file: string): Promise<Buffer | string> {
  try {
    return await readFile(file);
  } catch (error) {
    return cantBeRead(error);
  }
}

async function entriesOf(
  folder: string,
  below: string,
  left: LeftFile[],
): Promise<Awaited<ReturnType<typeof readFolder>>> {
  try {
    return (await readFolder(folder)).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    // The folder itself is the user's to name.
    if (below === '') throw error;
    left.push({ name: `${below}/`, reason: cantBeRead(error) });
    return [];
  }
}

function readFolder(folder: string) {
  return readdir(folder, { withFileTypes: true });
}

function cantBeRead(error: unknown): string {
  return `can't be read (${systemCodeOf(error) ?? messageOf(error)})`;
}

function tooLarge(size: number, most: number): string {
  return `has ${String(size)} bytes, the limit ${SIZE_LIMIT} of the node is ${String(most)}`;
}
