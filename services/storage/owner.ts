import { createHash, randomBytes } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { hostname } from 'node:os';

import { systemCodeOf } from '../../runtime/errors.js';

/** Divides the parts of a file name that says whose it is; not a character of names. */
const SEPARATOR = '~';

/** Whether the process that made something still lives; `unknown` for other machines. */
export type Life = 'alive' | 'gone' | 'unknown';

/**
 * This process as a part of file names: machine, boot, pid and start time. A pid alone is not enough, since it is given out
 * again. The pid namespace belongs to the machine: two containers may share a folder and a pid.
 */
export class Owner {
  readonly #machine: string;
  readonly #boot: string;
  /** `machine-boot-pid-start`. */
  readonly text: string;

  private constructor(machine: string, boot: string, start: string) {
    this.#machine = machine;
    this.#boot = boot;
    this.text = [machine, boot, String(process.pid), start].join('-');
  }

  static async ofThisProcess(): Promise<Owner> {
    const namespace = await readlink('/proc/self/ns/pid').catch(() => '');
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => '');
    const machine = createHash('sha256').update(hostname()).update(namespace).digest('hex');
    const start = (await processState(process.pid))?.start ?? '0';
    return new Owner(machine.slice(0, 8), boot.slice(0, 8) || '0', start);
  }

  /** A file name that nobody else makes: kind, owner, random, and what it is for. */
  newName(kind: string, subject = ''): string {
    return [kind, this.text, randomBytes(8).toString('hex'), subject].join(SEPARATOR);
  }

  /** Whether the maker of a name made by `newName` still lives. */
  async lifeOf(fileName: string): Promise<Life> {
    const [machine, boot, pid, start] = (fileName.split(SEPARATOR)[1] ?? '').split('-');
    if (machine !== this.#machine || !pid || !/^\d+$/.test(pid)) return 'unknown';
    if (boot !== this.#boot) return 'gone';
    const state = await processState(Number(pid));
    if (state) return state.start === start && !state.ended ? 'alive' : 'gone';
    if (start !== '0') return 'gone';
    return signalable(Number(pid)) ? 'unknown' : 'gone';
  }
}

/** What a name made by `newName` is for. */
export function subjectOf(fileName: string): string {
  return fileName.split(SEPARATOR)[3] ?? '';
}

interface ProcessState {
  readonly start: string;
  /** A zombie: it does nothing any more. */
  readonly ended: boolean;
}

/** From Linux's /proc/PID/stat; undefined if there is no such process, or no /proc. */
async function processState(pid: number): Promise<ProcessState | undefined> {
  const text = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => '');
  // The second field is the command in parentheses and may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const start = fields[19];
  return start === undefined ? undefined : { start, ended: 'ZX'.includes(fields[0] ?? '') };
}

function signalable(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return systemCodeOf(error) !== 'ESRCH';
  }
}
