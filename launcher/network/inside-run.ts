import { spawn } from 'node:child_process';
import { readlink } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { status } from '@grpc/grpc-js';

import { childEnvironment } from '../../config/node-environment.js';
import { FractoryError, systemCodeOf } from '../../runtime/errors.js';
import { exitCodeInOurStead } from '../child-exit.js';
import type { CommandContext } from '../command-context.js';
import { RunFile } from '../run-file.js';
import type { CommandLine } from './network-commands.js';

/** Commands that talk to no node, or that make networks of their own. */
const OUTSIDE: ReadonlySet<string> = new Set([
  ...['up', 'supervise', 'down', 'logs', 'apps', 'config', 'setup', 'doctor', 'tax', 'help'],
]);

const main = fileURLToPath(new URL('../main.js', import.meta.url));

/**
 * Runs a command once more where the nodes can be reached, if the data center of this folder lives in namespaces and this process doesn't. Returns its exit code, or
 * undefined where there is nothing to enter.
 */
export async function runInside(
  context: CommandContext,
  args: readonly string[],
): Promise<number | undefined> {
  const [command = ''] = args;
  if (command.startsWith('-') || OUTSIDE.has(command)) return undefined;
  const found = await new RunFile(context.places.statePath).read();
  if (found.state !== 'running' || !found.record.network) return undefined;
  const { pid } = found.record.launcher;
  if (!(await isElsewhere(pid, 'net'))) return undefined;
  return runThere(context, [...(await wayInside(pid)), ...self(args)]);
}

/** What starts a program in the network of another process: as root of the user namespace that it has, if it has one. */
async function wayInside(pid: number): Promise<CommandLine> {
  return ['nsenter', ...(await userOptions(pid)), `--net=/proc/${String(pid)}/ns/net`, '--'];
}

/** Options of nsenter: those that make us root in the user namespace of another process, if it has one of its own. */
export async function userOptions(pid: number): Promise<string[]> {
  if (!(await isElsewhere(pid, 'user'))) return [];
  return [`--user=/proc/${String(pid)}/ns/user`, '--preserve-credentials'];
}

/** False also where the process is gone: then there is nothing to enter. */
async function isElsewhere(pid: number, kind: 'net' | 'user'): Promise<boolean> {
  const own = await readlink(`/proc/self/ns/${kind}`);
  try {
    return own !== (await readlink(`/proc/${String(pid)}/ns/${kind}`));
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw new FractoryError(
      status.PERMISSION_DENIED,
      'NAMESPACES_OF_ANOTHER',
      `the data center lives in namespaces that belong to another user (pid ${String(pid)}); be that user, or root`,
      { cause: error },
    );
  }
}

/** This program; it doesn't outlive the process that waits for it. */
function self(args: readonly string[]): string[] {
  return [
    'setpriv',
    '--pdeathsig',
    'TERM',
    '--',
    process.execPath,
    '--enable-source-maps',
    main,
    ...args,
  ];
}

/** With our standard streams, but in a session of its own, so that it hears of each Ctrl-C through us, and just once. */
async function runThere(
  { interruption }: CommandContext,
  [program, ...args]: CommandLine,
): Promise<number> {
  const options = { stdio: 'inherit', detached: true, env: childEnvironment() } as const;
  const child = spawn(program, args, options);
  return exitCodeInOurStead(child, interruption, { onForce: 'SIGINT' });
}
