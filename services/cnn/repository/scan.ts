import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { messageOf, systemCodeOf } from '../../../runtime/errors.js';
import { checkName } from '../../../runtime/names.js';

const VERSION = /^[1-9][0-9]{0,8}$/;

/** A folder `NAME/VERSION` below one of the roots. */
export interface FoundVersion {
  readonly name: string;
  readonly version: number;
  /** Of `model.onnx`. */
  readonly file: string;
  /** Of `model.json`. */
  readonly cardFile: string;
  /** Changes whenever one of the two files does. */
  readonly stamp: string;
}

/** The versions below some folders. Where two folders hold the same model and version, the first wins. */
export async function scanVersions(roots: readonly string[]): Promise<FoundVersion[]> {
  const found = new Map<string, FoundVersion>();
  for (const root of roots)
    for (const name of (await foldersIn(root)).filter(isName))
      for (const version of await foldersIn(path.join(root, name))) {
        const key = `${name}/${version}`;
        if (!VERSION.test(version) || found.has(key)) continue;
        const folder = path.join(root, name, version);
        const files = {
          file: path.join(folder, 'model.onnx'),
          cardFile: path.join(folder, 'model.json'),
        };
        const stamp = await stampOf(files);
        found.set(key, { name, version: Number(version), ...files, stamp });
      }
  return [...found.values()];
}

/** Size, time and place of both files. */
export async function stampOf(files: {
  readonly file: string;
  readonly cardFile: string;
}): Promise<string> {
  return `${await stampOfFile(files.file)} ${await stampOfFile(files.cardFile)}`;
}

async function stampOfFile(file: string): Promise<string> {
  try {
    const { size, mtimeNs, ctimeNs, ino } = await stat(file, { bigint: true });
    return [size, mtimeNs, ctimeNs, ino].join(':');
  } catch (error) {
    // What is wrong with it is told when it is read.
    return systemCodeOf(error) ?? messageOf(error);
  }
}

/** It is not there, or went while it was looked at. */
export function isMissing(error: unknown): boolean {
  const code = systemCodeOf(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

async function foldersIn(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    // A folder for more models need not exist; one that can't be read must not keep the others from serving.
    if (isMissing(error) || systemCodeOf(error) === 'EACCES') return [];
    throw error;
  }
}

function isName(name: string): boolean {
  try {
    checkName('model', name);
    return true;
  } catch {
    return false;
  }
}
