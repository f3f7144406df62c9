import { spawn } from 'node:child_process';
import { readlink } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import { childEnvironment } from '../../../config/node-environment.js';
import { FractoryError, messageOf } from '../../../runtime/errors.js';
import type { Interruption } from '../../interruption.js';
import { ExitCode } from '../../exit-codes.js';
import type { CommandLine } from './network-commands.js';
import { checkPrograms, runProgram } from './program.js';
import { exitCodeOf } from '../../child-exit.js';

/** Ways into private namespaces: as root, and as anyone where the kernel lets users have namespaces. */
const WAYS: readonly CommandLine[] = [
  ['unshare', '--net', '--mount'],
  ['unshare', '--user', '--map-root-user', '--net', '--mount'],
];

/**
 * Runs this program once more, in network and mount namespaces of its own, and returns its exit code. Named namespaces and everything in them
 * exist only in there, so they end with its last process, also after SIGKILL: nothing of the machine's own network is touched.
 * NOT_FOUND where a program is missing, FAILED_PRECONDITION where namespaces aren't allowed.
 */
export async function runPrivately(
  args: readonly string[],
  script: string,
  interruption: Interruption,
): Promise<number> {
  await checkPrograms();
  const [program, ...options] = await wayIn();
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
  interruption.handle();
  const passOn = (): void => {
    child.kill(interruption.by);
  };
  const forget = interruption.onForce(() => {
    child.kill('SIGINT');
  });
  interruption.signal.addEventListener('abort', passOn, { once: true });
  try {
    const code = await exitCodeOf(child);
    return interruption.by === 'SIGINT' ? ExitCode.interrupted : code;
  } finally {
    forget();
    interruption.signal.removeEventListener('abort', passOn);
  }
}

/** Names this process's mount namespace, so that the one within can tell that it is in another. */
export function ownNamespace(): Promise<string> {
  return readlink('/proc/self/ns/mnt');
}

/** Makes room for named namespaces that nobody else sees. Throws unless this process is in other namespaces than `outer`. */
export async function enterPrivately(outer: string, interruption: Interruption): Promise<void> {
  if ((await ownNamespace()) === outer)
    throw refused('this process is not in namespaces of its own');
  await runProgram(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', '/run']);
  // Whoever started us holds our standard input open for as long as it lives.
  process.stdin.on('end', () => {
    interruption.ask('SIGTERM');
  });
  process.stdin.on('error', () => undefined);
  process.stdin.resume();
}

async function wayIn(): Promise<CommandLine> {
  let complaint = '';
  for (const way of WAYS)
    try {
      await runProgram([...way, 'mount', '-t', 'tmpfs', 'tmpfs', '/run']);
      return way;
    } catch (error) {
      complaint = messageOf(error);
    }
  throw refused(complaint);
}

function refused(why: string): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'NAMESPACES_NOT_ALLOWED',
    `links can't be shaped here, network namespaces are not allowed (${why}); run it as root, or without --rate and --latency`,
  );
}
