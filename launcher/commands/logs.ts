import { status } from '@grpc/grpc-js';
import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import { FractoryError } from '../../runtime/errors.js';
import { closest } from '../../runtime/suggestion.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { LogFiles, LogFollower } from '../log-files.js';
import { lastMerged } from '../log-merge.js';
import { LogPainter } from '../log-painter.js';
import { runEnded } from '../run-end.js';
import { RunFile } from '../run-file.js';
import { withExamples } from './examples.js';

interface LogsOptions {
  readonly follow?: boolean;
  readonly lines: number;
  readonly json?: boolean;
  readonly all?: boolean;
}

export function addLogs(program: Command, context: CommandContext): void {
  const command = program
    .command('logs')
    .description('show the logs of all members, or of one')
    .argument('[member]', 'such as storage-1; also launcher, zookeeper-1')
    .option(
      '-f, --follow',
      'go on with what is appended, until Ctrl-C or the end of the data center',
    )
    .option('-n, --lines <count>', 'how many of the last lines', lineCount, 100)
    .option('--all', 'also lines from before the last ./datacenter up')
    .option('--json', 'print the JSON lines as they are')
    .action((member: string | undefined, options: LogsOptions) => logs(context, member, options));
  withExamples(command, [
    ['./datacenter logs', 'the last 100 lines of all members, in order of time'],
    ['./datacenter logs storage-1 --follow', 'one member, and what it says from now on'],
    ['./datacenter logs --json -n 1000 | jq .msg', 'for programs'],
  ]);
}

function lineCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('it has to be a whole number.');
}

async function logs(
  context: CommandContext,
  member: string | undefined,
  options: LogsOptions,
): Promise<void> {
  const { terminal, interruption, places } = context;
  const files = new LogFiles(places.statePath);
  const chosen = await chosenMembers(files, member);
  const painter = new LogPainter(terminal.outputColours);
  const show = (from: string, line: string): void => {
    terminal.print(options.json ? line : painter.paint(from, line));
  };
  const follower = new LogFollower(files, show, member === undefined ? undefined : [member]);
  // Places are taken before the past is shown: nothing between is lost, at worst it is shown twice.
  if (options.follow) {
    interruption.handle();
    await follower.start();
  }
  const { lines, all: earlier = false } = options;
  const past = await lastMerged(files, chosen, lines, { earlier });
  for (const { from, line } of past) show(from, line);
  if (past.length === 0 && lines > 0 && !earlier)
    terminal.note('no lines since the last ./datacenter up; --all shows those before');
  if (!options.follow) return;
  const ended = await hasEnded(context);
  await follower.stop();
  if (ended) {
    terminal.note('the data center has stopped');
    return;
  }
  throw new ExitRequest(interruption.by === 'SIGINT' ? ExitCode.interrupted : ExitCode.ok);
}

/** Resolves at the end of the data center (true), or when somebody asked to stop (false). */
async function hasEnded({ interruption, places }: CommandContext): Promise<boolean> {
  try {
    await runEnded(new RunFile(places.statePath), interruption.signal);
    return true;
  } catch (error) {
    if (interruption.signal.aborted) return false;
    throw error;
  }
}

async function chosenMembers(files: LogFiles, member: string | undefined): Promise<string[]> {
  const known = await files.all();
  if (member === undefined) {
    if (known.length > 0) return files.members();
    throw noLog('there are no logs yet; ./datacenter up starts a data center');
  }
  if (known.includes(member)) return [member];
  const near = closest(member, known);
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  const rest = known.length === 0 ? '' : `; there are ${known.join(', ')}`;
  throw noLog(`there is no log of ${member}${hint}${rest}`);
}

function noLog(message: string): FractoryError {
  return new FractoryError(status.NOT_FOUND, 'NO_LOG', message);
}
