import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { status } from '@grpc/grpc-js';

import { systemEnvironment } from '../../config/search-path.js';
import { FractoryError, messageOf, systemCodeOf } from '../../runtime/errors.js';
import type { CommandLine } from './network-commands.js';

const run = promisify(execFile);
const TIMEOUT_MS = 10_000;
const MAX_SHOWN = 160;

/** Debian's packages with the programs that make links, shape and cut them. */
const PACKAGES: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  tc: 'iproute2',
  unshare: 'util-linux',
  nsenter: 'util-linux',
  mount: 'mount',
  nft: 'nftables',
};
/** Without these there is no private network at all. */
const NEEDED = ['ip', 'tc', 'unshare', 'nsenter', 'mount'];

/** Runs a program of the system to its end and returns what it printed; its error says what it complained of. */
export async function runProgram([program, ...args]: CommandLine): Promise<string> {
  try {
    const { stdout } = await run(program, args, {
      ...{ timeout: TIMEOUT_MS, killSignal: 'SIGKILL', env: systemEnvironment() },
    });
    return stdout;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') throw missing(program);
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'NETWORK_REFUSED',
      `${shown([program, ...args])} failed: ${complaintOf(error)}`,
      { cause: error },
    );
  }
}

/** Throws NOT_FOUND with the package to install where a program that makes networks is missing. */
export async function checkPrograms(): Promise<void> {
  for (const program of NEEDED)
    await runProgram([program, program === 'tc' || program === 'ip' ? '-V' : '--version']);
}

function missing(program: string): FractoryError {
  const name = PACKAGES[program] ?? program;
  return new FractoryError(
    status.NOT_FOUND,
    'PROGRAM_MISSING',
    `links are made and shaped with ${program}, which is not installed; Debian has it in ${name}: apt-get install ${name}`,
  );
}

/** One line of bounded length. */
function shown(command: CommandLine): string {
  const line = command.join(' ').replace(/\s+/g, ' ');
  return line.length <= MAX_SHOWN ? line : `${line.slice(0, MAX_SHOWN)}...`;
}

function complaintOf(error: unknown): string {
  const stderr = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  return stderr === '' ? messageOf(error) : stderr.split('\n').join('; ');
}
