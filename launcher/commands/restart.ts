import { status } from '@grpc/grpc-js';
import type { Command } from 'commander';

import { RestartStage } from '../../protos/gen/fractory/v1/launcher.js';
import type { RestartResponse } from '../../protos/gen/fractory/v1/launcher.js';
import { FractoryError } from '../../runtime/errors.js';
import type { CommandContext } from '../command-context.js';
import { ControlClient } from '../control/control-client.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { HandNodes } from '../hand-nodes.js';
import { findRunning } from '../running-data-center.js';
import type { RunningDataCenter } from '../running-data-center.js';
import type { Terminal } from '../terminal.js';
import { withExamples } from './examples.js';
import { seconds } from './up.js';

interface RestartOptions {
  readonly rolling?: boolean;
  readonly timeout: number;
  readonly json?: boolean;
}

/** A member that serves again, as `--json` prints it. */
interface Restarted {
  readonly member: string;
  /** From its end until it served. */
  readonly elapsedMs: number;
  readonly pid: number;
}

/** Longest rolling restart; each member has its own limit. */
const CALL_TIMEOUT_MS = 24 * 3_600_000;

export function addRestart(program: Command, context: CommandContext): void {
  const command = program
    .command('restart')
    .description('restart members, one at a time: drain, stop, start, wait until it serves')
    .argument('[members...]', 'such as storage-1 or zookeeper-2; with --rolling none')
    .option('--rolling', 'all members')
    .option('--timeout <seconds>', 'longest time until one serves again', seconds, 60)
    .option('--json', 'print one JSON object at the end')
    .action((members: string[], options: RestartOptions) => {
      if (members.length === 0 && !options.rolling)
        command.error('error: name the members, or --rolling for all of them', { exitCode: 2 });
      if (members.length > 0 && options.rolling)
        command.error('error: --rolling is for all members; name some without it', { exitCode: 2 });
      return restart(context, members, options);
    });
  withExamples(command, [
    ['./datacenter restart storage-1', 'one member; followers of the type take over meanwhile'],
    ['./datacenter restart zookeeper-2', 'one server, if the others are a majority without it'],
    ['./datacenter restart --rolling', 'all, followers before leaders, without a failed run'],
  ]);
}

async function restart(
  context: CommandContext,
  members: readonly string[],
  options: RestartOptions,
): Promise<void> {
  const { terminal, interruption } = context;
  const running = await findRunning(context);
  const socket = controlOf(running);
  await refuseHandNodes(running, members, terminal);
  interruption.handle();
  using control = new ControlClient(socket);
  const done: Restarted[] = [];
  try {
    const request = { members: [...members], timeoutMs: options.timeout * 1000 };
    const call = { timeoutMs: CALL_TIMEOUT_MS, signal: interruption.signal };
    for await (const step of control.restart(request, call)) tell(step, terminal, done);
  } finally {
    if (options.json) terminal.printJson({ restarted: done });
  }
  if (interruption.by === 'SIGINT') throw new ExitRequest(ExitCode.interrupted);
}

function tell(step: RestartResponse, terminal: Terminal, done: Restarted[]): void {
  const { member, stage, number, total, elapsedMs, pid } = step;
  const place = `[${String(number)}/${String(total)}] ${member}`;
  if (stage === RestartStage.STOPPING)
    terminal.progress(`${place} finishes what it has begun, and stops`);
  if (stage === RestartStage.STARTED)
    terminal.progress(`${place} stopped after ${String(elapsedMs)} ms; pid ${String(pid)} starts`);
  if (stage === RestartStage.SERVING) {
    done.push({ member, elapsedMs, pid });
    terminal.note(`${place} serves again, after ${String(elapsedMs)} ms`);
  }
}

/** The socket of the launcher; FAILED_PRECONDITION where it isn't on this machine. */
function controlOf({ record, config }: RunningDataCenter): string {
  if (record?.control !== undefined) return record.control;
  const text = record
    ? 'its launcher has no socket; ./datacenter logs launcher tells why'
    : 'it was started elsewhere: only its own launcher can do that';
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'NO_LAUNCHER',
    `no launcher of ${config.name} can be reached: ${text}`,
  );
}

/** Nodes that somebody started by hand belong to that terminal. */
async function refuseHandNodes(
  { config }: RunningDataCenter,
  members: readonly string[],
  terminal: Terminal,
): Promise<void> {
  const hand = await new HandNodes(config.places.statePath).running();
  const named = hand.find(({ name }) => members.includes(name));
  if (named)
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'STARTED_BY_HAND',
      `${named.name} was started by hand (./datacenter node, pid ${String(named.launcher.pid)}): others can't ` +
        'restart it; stop it there with Ctrl-C and start it again',
    );
  if (members.length > 0 || hand.length === 0) return;
  const names = hand.map(({ name }) => name).join(', ');
  terminal.note(`left alone, because started by hand: ${names}`);
}
