import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { status } from '@grpc/grpc-js';

import { FractoryError, messageOf, systemCodeOf, unavailable } from '../../runtime/errors.js';
import { signalProcess } from '../process-identity.js';
import type { ProcessIdentity } from '../process-identity.js';
import { fileSizeLimits, findProcess, hearsUserSignal, isPaused } from './process-table.js';

const run = promisify(execFile);
const PRLIMIT_TIMEOUT_MS = 5000;
/** Nothing can be written beyond this. */
const NOTHING = '0';

/** Called when a process was found and is about to be hit. */
type Acting = () => void;

/** Faults that are done to a process, by name of the member or server. Each resolves when it is done. UNAVAILABLE where there is no such process now. */
export class ProcessFaults {
  readonly #statePath: string;

  constructor(statePath: string) {
    this.#statePath = statePath;
  }

  async kill(name: string, acting?: Acting): Promise<void> {
    await this.#signal(name, 'SIGKILL', acting);
  }

  async pause(name: string, acting?: Acting): Promise<void> {
    await this.#signal(name, 'SIGSTOP', acting);
  }

  async resume(name: string): Promise<void> {
    await this.#signal(name, 'SIGCONT');
  }

  /** The node ends its session at the coordinator and doesn't know it. */
  async expireSession(name: string, acting?: Acting): Promise<void> {
    const target = await this.#find(name);
    if (!(await hearsUserSignal(target)))
      throw new FractoryError(
        status.FAILED_PRECONDITION,
        'CANT_EXPIRE',
        `${name} can't end its own session: only nodes that run can`,
      );
    acting?.();
    await signalProcess(target, 'SIGUSR2');
  }

  async fillDisk(name: string, acting?: Acting): Promise<void> {
    const target = await this.#find(name);
    acting?.();
    await limitFiles(target, NOTHING);
  }

  /** Undoes what was done to a process, whoever did it; returns what that was, nothing where it is well or gone. */
  async heal(name: string): Promise<('pause' | 'fill-disk')[]> {
    const target = await findProcess(this.#statePath, name);
    if (!target) return [];
    const healed: ('pause' | 'fill-disk')[] = [];
    const { soft, hard } = await fileSizeLimits(target);
    if (soft === NOTHING && soft !== hard) {
      await limitFiles(target, hard);
      healed.push('fill-disk');
    }
    if (await isPaused(target)) {
      await signalProcess(target, 'SIGCONT');
      healed.push('pause');
    }
    return healed;
  }

  async #signal(name: string, signal: NodeJS.Signals, acting?: Acting): Promise<void> {
    const target = await this.#find(name);
    acting?.();
    const sent = await signalProcess(target, signal);
    if (!sent) throw gone(name);
  }

  async #find(name: string): Promise<ProcessIdentity> {
    const found = await findProcess(this.#statePath, name);
    if (found) return found;
    throw gone(name);
  }
}

/** Only the limit that can be raised again by whoever may set it. */
async function limitFiles({ pid }: ProcessIdentity, soft: string): Promise<void> {
  try {
    await run('prlimit', ['--pid', String(pid), `--fsize=${soft}:`], {
      timeout: PRLIMIT_TIMEOUT_MS,
    });
  } catch (error) {
    const missing = systemCodeOf(error) === 'ENOENT';
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'NO_PRLIMIT',
      missing
        ? 'prlimit is not there; apt-get install util-linux brings it'
        : `prlimit failed: ${messageOf(error).split('\n').join(' ')}`,
      { cause: error },
    );
  }
}

function gone(name: string): FractoryError {
  return unavailable(
    'NO_PROCESS',
    `${name} has no process on this machine now; ./datacenter status lists the members`,
  );
}
