import { mkdtemp, readdir, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { identify, isRunning } from '../process-identity.js';

const MEMORY_FOLDER = '/dev/shm';
/** What statfs calls tmpfs. */
const TMPFS = 0x01021994;
const MIN_FREE_BYTES = 512 * 1024 ** 2;
const PREFIX = 'fractory-tax-';
const NAME = /^fractory-tax-(\d+)-(\w+)-\w+$/;

/** Where the data centers of one measurement keep everything. Owned by whoever made it: disposing removes it. */
export interface StateFolder extends AsyncDisposable {
  readonly path: string;
  /** In memory: fsync costs nothing, and so doesn't hide the network. */
  readonly inMemory: boolean;
}

/** Makes a folder, in memory where there is some; removes those of measurements that were killed. */
export async function makeStateFolder(): Promise<StateFolder> {
  const inMemory = await hasMemory();
  const parent = inMemory ? MEMORY_FOLDER : tmpdir();
  await removeLeftovers(parent);
  const own = await identify(process.pid);
  const owner = `${String(process.pid)}-${own?.startTime ?? '0'}`;
  const folder = await mkdtemp(path.join(parent, `${PREFIX}${owner}-`));
  return {
    path: folder,
    inMemory,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function hasMemory(): Promise<boolean> {
  try {
    const { type, bavail, bsize } = await statfs(MEMORY_FOLDER);
    return type === TMPFS && bavail * bsize >= MIN_FREE_BYTES;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** The name tells whose a folder is: pid and start time, which no later process has again. */
export async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const [, pid, startTime] = NAME.exec(name) ?? [];
    if (pid === undefined || startTime === undefined) continue;
    if (await isRunning({ pid: Number(pid), startTime })) continue;
    try {
      await rm(path.join(parent, name), { recursive: true, force: true });
    } catch (error) {
      // Another user's is for that user to remove.
      if (!['EACCES', 'EPERM'].includes(systemCodeOf(error) ?? '')) throw error;
    }
  }
}
