import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { invalidArgument } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import { isReserved } from './checks.js';
import { isFolder } from './durable.js';
import type { FileRef } from './failures.js';

export interface NameQuery {
  readonly client?: string;
  readonly prefix?: string;
  readonly pageSize?: number;
  readonly pageToken?: string;
}

export interface NamePage {
  readonly refs: readonly FileRef[];
  readonly nextPageToken: string;
}

/**
 * One page of the names under `root`, by client and name, without links and hidden files; those of reserved clients only where their client is named.
 * A token is the last name of its page.
 */
export async function listNames(
  root: string,
  query: NameQuery,
  maxPageSize: number,
): Promise<NamePage> {
  const { client = '', prefix = '', pageSize = 0, pageToken = '' } = query;
  if (client !== '') checkName('client', client);
  const after = pageToken === '' ? undefined : decodeToken(pageToken);
  const size = pageSize === 0 ? maxPageSize : Math.min(pageSize, maxPageSize);
  const refs: FileRef[] = [];
  const ofAll = async (): Promise<string[]> =>
    (await clientNames(root)).filter((one) => !isReserved(one));
  for (const one of client === '' ? await ofAll() : [client]) {
    if (after && one < after.client) continue;
    for (const name of await fileNames(path.join(root, one), prefix)) {
      if (after?.client === one && name <= after.name) continue;
      const last = refs.at(-1);
      if (refs.length === size && last) return { refs, nextPageToken: encodeToken(last) };
      refs.push({ client: one, name });
    }
  }
  return { refs, nextPageToken: '' };
}

/** Clients that have a folder. */
export async function clientNames(root: string): Promise<string[]> {
  const entries = await readdir(root, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && isName(entry.name))
    .map((entry) => entry.name)
    .sort();
}

async function fileNames(folder: string, prefix: string): Promise<string[]> {
  if (!(await isFolder(folder))) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && isName(entry.name) && entry.name.startsWith(prefix))
    .map((entry) => entry.name)
    .sort();
}

function isName(text: string): boolean {
  try {
    checkName('name', text);
    return true;
  } catch {
    return false;
  }
}

function encodeToken(last: FileRef): string {
  return Buffer.from(`${last.client}/${last.name}`).toString('base64url');
}

function decodeToken(token: string): FileRef {
  const [client = '', name = '', rest] = Buffer.from(token, 'base64url').toString().split('/');
  if (!isName(client) || !isName(name) || rest !== undefined)
    throw invalidArgument('page_token', 'is not one that a list gave', 'BAD_PAGE_TOKEN');
  return { client, name };
}
