import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { identify } from '../process-identity.js';
import type { ProcessIdentity } from '../process-identity.js';

/** Fields of `/proc/PID/status` and their numbers. */
const SIGUSR2 = 12;

/**
 * The process of a node or of a ZooKeeper server of this state folder, however it was started; undefined while there is none. The kernel is asked rather than
 * `run.json`, which lags behind a restart.
 *
 * @param name a member's id, or `zookeeper-1`
 */
export async function findProcess(
  statePath: string,
  name: string,
): Promise<ProcessIdentity | undefined> {
  const pids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(pids.map((pid) => belongs(pid, statePath, name)));
  const index = found.lastIndexOf(true);
  return index < 0 ? undefined : identify(Number(pids[index]));
}

async function belongs(pid: string, statePath: string, name: string): Promise<boolean> {
  const [program = '', ...args] = (await readProc(pid, 'cmdline')).split('\0');
  // The guard of a server has its arguments too.
  if (path.basename(program) === 'sh') return false;
  const server = /^zookeeper-(\d+)$/.exec(name)?.[1];
  if (server !== undefined)
    return args.includes(path.join(statePath, 'zookeeper', `server-${server}`, 'zoo.cfg'));
  if (args[args.indexOf('--name') + 1] !== name || !args.includes('--type')) return false;
  const environment = (await readProc(pid, 'environ')).split('\0');
  return environment.includes(`FRACTORY_STATE=${statePath}`);
}

/** Whether a process is stopped by SIGSTOP. */
export async function isPaused({ pid }: Pick<ProcessIdentity, 'pid'>): Promise<boolean> {
  const stat = await readProc(String(pid), 'stat');
  return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
}

/** Whether a process has a handler for SIGUSR2: without one that signal would end it. */
export async function hearsUserSignal({ pid }: ProcessIdentity): Promise<boolean> {
  const caught = /^SigCgt:\s*([0-9a-f]+)$/m.exec(await readProc(String(pid), 'status'))?.[1];
  return ((BigInt(`0x${caught ?? '0'}`) >> BigInt(SIGUSR2 - 1)) & 1n) === 1n;
}

/** Limits of the size of files of a process: `unlimited`, or bytes. */
export async function fileSizeLimits({
  pid,
}: ProcessIdentity): Promise<{ readonly soft: string; readonly hard: string }> {
  const limits = await readProc(String(pid), 'limits');
  const [, soft = '', hard = ''] = /^Max file size\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  return { soft, hard };
}

/** Resident memory, bytes, and open file descriptors; undefined if it is gone. */
export async function processSizes(
  pid: number,
): Promise<{ readonly residentBytes: number; readonly descriptors: number } | undefined> {
  const status = await readProc(String(pid), 'status');
  const kib = /^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1];
  if (kib === undefined) return undefined;
  try {
    const descriptors = (await readdir(`/proc/${String(pid)}/fd`)).length;
    return { residentBytes: Number(kib) * 1024, descriptors };
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** '' where the process is gone or belongs to somebody else. */
async function readProc(pid: string, file: string): Promise<string> {
  try {
    return await readFile(`/proc/${pid}/${file}`, 'latin1');
  } catch (error) {
    if (isGone(error)) return '';
    throw error;
  }
}

function isGone(error: unknown): boolean {
  return ['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(systemCodeOf(error) ?? '');
}
