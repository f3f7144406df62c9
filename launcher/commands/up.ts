import { fileURLToPath } from 'node:url';

import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

import type { DataCenterConfig } from '../../config/data-center-config.js';
import { isOnSearchPath } from '../../config/search-path.js';
import { readArguments } from '../../runtime/arguments.js';
import { callHints } from '../call-hints.js';
import type { CommandContext } from '../command-context.js';
import { chooseCoordination } from '../coordination-choice.js';
import { DataCenterRun } from '../data-center-run.js';
import { startDetached } from '../detached-start.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { refuseSecond } from '../folder-claim.js';
import type { Interruption } from '../interruption.js';
import { launcherLog } from '../launcher-log.js';
import { LogFiles } from '../log-files.js';
import { showLogs } from '../log-view.js';
import { memberTable } from '../member-status.js';
import type { MemberStatus } from '../member-status.js';
import { makeDataCenterNetwork } from '../network/data-center-network.js';
import type { PrivateNetwork } from '../network/private-network.js';
import {
  findPrivateWay,
  endWithInput,
  ownNamespace,
  runPrivately,
} from '../network/private-process.js';
import { terminalReporter } from '../reporter.js';
import type { Terminal } from '../terminal.js';
import { withExamples } from './examples.js';

export interface UpOptions {
  readonly detach?: boolean;
  readonly config?: string;
  /** False with `--no-zookeeper`. */
  readonly zookeeper: boolean;
  readonly timeout: number;
  readonly namespaces?: boolean;
  /** Mount namespace of the process that started this one in private namespaces. */
  readonly outside?: string;
}

export function addUp(program: Command, context: CommandContext): void {
  const command = program
    .command('up')
    .description('start the coordinator and every node of the ini file')
    .option('-d, --detach', 'return when everything serves; the data center runs on')
    .option('--config <file>', 'another ini file than config/data_center.ini')
    .option('--no-zookeeper', 'use the embedded coordinator instead of ZooKeeper')
    .option('--namespaces', 'each node and ZooKeeper server on a link of its own (Linux)')
    .option('--timeout <seconds>', 'longest time until everything serves', seconds, 60)
    .addOption(new Option('--outside <namespace>').hideHelp())
    .action((options: UpOptions) => up(context, options));
  withExamples(command, [
    ['./datacenter up', 'start, then show the logs until Ctrl-C stops everything'],
    ['./datacenter up --detach', 'start in the background; ./datacenter down stops it'],
    ['./datacenter up --no-zookeeper', 'without Java'],
    ['./datacenter up --namespaces', 'links that ./datacenter chaos can cut and slow'],
  ]);
}

/** Reads a number of seconds. */
export function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value > 0 && value <= 86_400) return value;
  throw new InvalidArgumentError('it has to be a number of seconds above 0.');
}

async function up(context: CommandContext, options: UpOptions): Promise<void> {
  const { terminal, interruption } = context;
  interruption.handle();
  const config = await context.config(options.config);
  await refuseSecond(config.places.statePath);
  if (options.detach) {
    showStarted(terminal, config, await startDetached(context, config, options), options);
    terminal.note('\nit runs in the background: ./datacenter logs --follow, ./datacenter down');
    return;
  }
  if (options.namespaces && options.outside === undefined)
    throw new ExitRequest(await upPrivately(interruption));
  await using network = await networkOf(context, options);
  const log = await launcherLog(config.places.statePath);
  const run = new DataCenterRun({
    ...{ config, interruption, detached: false, startTimeoutMs: options.timeout * 1000, network },
    coordination: await chooseCoordination(config, {
      ...{ embedded: !options.zookeeper, log, network },
    }),
    reporter: terminalReporter(terminal),
  });
  let served = false;
  try {
    const statuses = await run.start();
    served = true;
    showStarted(terminal, config, statuses, options);
    terminal.note('\nlogs of the nodes follow; Ctrl-C stops everything\n');
    const logs = await showLogs(new LogFiles(config.places.statePath), terminal);
    await interruption.asked();
    await run.stop();
    await logs[Symbol.asyncDispose]();
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    await run.stop();
  }
  terminal.note('everything is stopped');
  if (interruption.by === 'SIGINT') throw new ExitRequest(ExitCode.interrupted);
  if (!served) throw new ExitRequest(ExitCode.failed);
}

/** This command once more, in namespaces of its own. */
async function upPrivately(interruption: Interruption): Promise<number> {
  const way = await findPrivateWay('--namespaces');
  const script = fileURLToPath(new URL('../main.js', import.meta.url));
  const args = [...readArguments(), '--outside', await ownNamespace()];
  return runPrivately(way, script, args, interruption);
}

async function networkOf(
  { places, interruption }: CommandContext,
  { outside }: UpOptions,
): Promise<PrivateNetwork | undefined> {
  if (outside === undefined) return undefined;
  const network = await makeDataCenterNetwork(outside, places);
  endWithInput(interruption);
  return network;
}

function showStarted(
  terminal: Terminal,
  config: DataCenterConfig,
  statuses: readonly MemberStatus[],
  { namespaces }: UpOptions,
): void {
  terminal.print(memberTable(statuses));
  const program = isOnSearchPath('grpcurl') ? 'grpcurl' : 'buf';
  const hints = callHints(statuses, config.security, program, { namespaces });
  terminal.note(['', 'Try:', ...hints.map((hint) => `  ${hint}`)].join('\n'));
}
