import { spawn } from 'node:child_process';
import { readlink } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import { childEnvironment } from '../../config/node-environment.js';
import { FractoryError, messageOf } from '../../runtime/errors.js';
import { exitCodeInOurStead } from '../child-exit.js';
import type { Interruption } from '../interruption.js';
import type { CommandLine } from './network-commands.js';
import { checkPrograms, runProgram } from './program.js';

/** Ways into private namespaces: as root, and as anyone where the kernel lets users have namespaces. */
const WAYS: readonly CommandLine[] = [
  ['unshare', '--net', '--mount'],
  ['unshare', '--user', '--map-root-user', '--net', '--mount'],
];

/** What starts a program in network and mount namespaces of its own; the program takes the place of this one. */
export type PrivateWay = CommandLine;

/**
 * How this user gets private namespaces. NOT_FOUND where a program is missing, FAILED_PRECONDITION where namespaces aren't allowed.
 * `options`: those of the command that ask for links, to be left out where there can't be any.
 */
export async function findPrivateWay(options: string): Promise<PrivateWay> {
  await checkPrograms();
  let complaint = '';
  for (const way of WAYS)
    try {
      await runProgram([...way, 'mount', '-t', 'tmpfs', 'tmpfs', '/run']);
      return way;
    } catch (error) {
      complaint = messageOf(error);
    }
  throw refused(complaint, `; run it as root, or without ${options}`);
}

/**
 * Runs this program once more, in network and mount namespaces of its own, and returns its exit code. Named namespaces and everything in them
 * exist only in there, so they end with its last process, also after SIGKILL: nothing of the machine's own network is touched.
 */
export async function runPrivately(
  [program, ...options]: PrivateWay,
  script: string,
  args: readonly string[],
  interruption: Interruption,
): Promise<number> {
  const child = spawn(
    program,
    [...options, process.execPath, '--enable-source-maps', script, ...args],
    {
      // In a group of its own, so that it hears of Ctrl-C through us, and just once; it ends when its standard input does.
      ...{ stdio: ['pipe', 'inherit', 'inherit'], detached: true, env: childEnvironment() },
    },
  );
  // What it says when it dies is told by its exit.
  child.stdin.on('error', () => undefined);
  return exitCodeInOurStead(child, interruption, { onForce: 'SIGINT' });
}

/** Names this process's mount namespace, so that the one within can tell that it is in another. */
export function ownNamespace(): Promise<string> {
  return readlink('/proc/self/ns/mnt');
}

/** Makes room for named namespaces that nobody else sees. Throws unless this process is in other namespaces than `outer`. */
export async function enterPrivately(outer: string): Promise<void> {
  if ((await ownNamespace()) === outer)
    throw refused('this process is not in namespaces of its own');
  await runProgram(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run']);
}

/** Whoever started us holds our standard input open for as long as it lives: when it ends, we are asked to stop. */
export function endWithInput(interruption: Interruption): void {
  process.stdin.on('end', () => {
    interruption.ask('SIGTERM');
  });
  process.stdin.on('error', () => undefined);
  process.stdin.resume();
}

function refused(why: string, remedy = ''): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'NAMESPACES_NOT_ALLOWED',
    `nodes can't have links of their own here, network namespaces are not allowed (${why})${remedy}`,
  );
}
