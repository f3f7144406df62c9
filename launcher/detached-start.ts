import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { status } from '@grpc/grpc-js';

import type { DataCenterConfig } from '../config/data-center-config.js';
import { childEnvironment } from '../config/node-environment.js';
import { FractoryError } from '../runtime/errors.js';
import type { CommandContext } from './command-context.js';
import { ExitCode, ExitRequest } from './exit-codes.js';
import type { Interruption } from './interruption.js';
import { LAUNCHER } from './launcher-log.js';
import { LogFiles } from './log-files.js';
import type { MemberStatus } from './member-status.js';
import { findPrivateWay, ownNamespace } from './network/private-process.js';
import { terminalReporter } from './reporter.js';
import type { Reporter } from './reporter.js';

/** What a launcher in the background tells the command that started it, until everything serves. */
export type StartMessage =
  | { readonly kind: 'note' | 'warn' | 'progress'; readonly text: string }
  | { readonly kind: 'serving'; readonly statuses: readonly MemberStatus[] }
  | {
      readonly kind: 'failed';
      readonly text: string;
      readonly exitCode: number;
      /** It was asked to stop, and nothing else is wrong. */
      readonly interrupted: boolean;
    };

export interface DetachedOptions {
  readonly zookeeper: boolean;
  readonly namespaces?: boolean;
  readonly timeout: number;
}

const main = path.join(path.dirname(fileURLToPath(import.meta.url)), 'main.js');

/** Starts a launcher in the background; resolves when everything serves. Ctrl-C before that stops it again. */
export async function startDetached(
  context: CommandContext,
  config: DataCenterConfig,
  options: DetachedOptions,
): Promise<readonly MemberStatus[]> {
  const { terminal, interruption, places } = context;
  const args = ['supervise', '--config', config.file, '--timeout', String(options.timeout)];
  if (!options.zookeeper) args.push('--no-zookeeper');
  const way = options.namespaces ? await findPrivateWay('--namespaces') : [];
  if (way.length > 0) args.push('--outside', await ownNamespace());
  const child = forkInBackground(
    [...way, process.execPath],
    args,
    await new LogFiles(places.statePath).prepare(LAUNCHER),
    places.root,
  );
  interruption.signal.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  try {
    return await outcomeOf(child, terminalReporter(terminal), interruption);
  } catch (error) {
    // Only who tells of its end itself has stopped everything.
    if (interruption.by === undefined || !(error instanceof ExitRequest)) throw error;
    terminal.note('stopped: nothing of it runs any more');
    if (interruption.by === 'SIGINT') throw new ExitRequest(ExitCode.interrupted);
    throw error;
  }
}

/** `program`: this one, or one that turns into it. */
function forkInBackground(
  [program, ...options]: readonly string[],
  args: readonly string[],
  logFile: string,
  cwd: string,
): ChildProcess {
  const log = openSync(logFile, 'a', 0o600);
  try {
    return fork(main, args, {
      cwd,
      detached: true,
      env: childEnvironment(),
      ...(program !== undefined && { execPath: program }),
      execArgv: [...options, '--enable-source-maps'],
      stdio: ['ignore', log, log, 'ipc'],
    });
  } finally {
    closeSync(log);
  }
}

function outcomeOf(
  child: ChildProcess,
  reporter: Reporter,
  interruption: Interruption,
): Promise<readonly MemberStatus[]> {
  return new Promise((resolve, reject) => {
    let failure: Error | undefined;
    child.on('message', (message: StartMessage) => {
      switch (message.kind) {
        case 'serving':
          child.disconnect();
          child.unref();
          resolve(message.statuses);
          break;
        case 'failed':
          // Where it was stopped from here, by which signal is no news.
          if (interruption.by === undefined || !message.interrupted) reporter.note(message.text);
          failure = new ExitRequest(message.exitCode);
          break;
        default:
          reporter[message.kind](message.text);
      }
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      reject(
        failure ??
          new FractoryError(
            status.ABORTED,
            'LAUNCHER_DIED',
            `the launcher in the background ended (${signal ?? `exit code ${String(code)}`}); ` +
              './datacenter logs launcher tells more',
          ),
      );
    });
  });
}
