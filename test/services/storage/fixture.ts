import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import type { StorageLimits } from '../../../services/storage/limits.js';
import { FileStore } from '../../../services/storage/store.js';
import type { StoreOptions } from '../../../services/storage/stored-file.js';
import type { FileRef } from '../../../services/storage/failures.js';

/** A store in a folder of its own. Disposing asserts that no transfer and no temporary file is left. */
export interface Fixture extends AsyncDisposable {
  readonly root: string;
  readonly store: FileStore;
  /** Another store on the same folder, as another process would have it. */
  another(limits?: Partial<StorageLimits>): Promise<FileStore>;
  pathOf(ref: FileRef): string;
  temporaries(client: string): Promise<string[]>;
}

export const CAT: FileRef = { client: 'admin', name: 'cat.txt' };

export async function temporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-storage-'));
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

export async function openStore(
  limits: Partial<StorageLimits> = {},
  options: StoreOptions = {},
): Promise<Fixture> {
  const folder = await temporaryFolder();
  const root = folder.path;
  const another = (other: Partial<StorageLimits> = {}): Promise<FileStore> =>
    FileStore.open(root, { ...DEFAULT_STORAGE_LIMITS, ...limits, ...other }, options);
  const store = await another();
  return {
    root,
    store,
    another,
    pathOf: ({ client, name }) => path.join(root, client, name),
    temporaries: (client) => temporaries(root, client),
    async [Symbol.asyncDispose]() {
      const left: string[] = [];
      for (const client of await readdir(root)) left.push(...(await temporaries(root, client)));
      await folder[Symbol.asyncDispose]();
      if (left.length > 0) throw new Error(`temporary files are left: ${left.join(', ')}`);
      if (store.transfers > 0) throw new Error(`${String(store.transfers)} transfers are left`);
      if (store.kept > 0) throw new Error(`${String(store.kept)} files are kept open`);
    },
  };
}

async function temporaries(root: string, client: string): Promise<string[]> {
  return readdir(path.join(root, client, '.fractory', 'tmp')).catch(() => []);
}

export async function readText(store: FileStore, ref: FileRef): Promise<string> {
  return (await store.readAll(ref, 1024 ** 3, 'test')).data.toString();
}

/** Starts `writer.ts` in a process of its own. */
export function startWriter(...args: string[]): ChildProcess {
  const file = path.join(path.dirname(fileURLToPath(import.meta.url)), 'writer.js');
  return spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

export async function ended(child: ChildProcess): Promise<string> {
  let output = '';
  child.stdout?.on('data', (data: Buffer) => {
    output += data.toString();
  });
  await new Promise((resolve) => child.once('close', resolve));
  return output;
}
