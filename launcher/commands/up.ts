import { InvalidArgumentError } from 'commander';
import type { Command } from 'commander';

import type { DataCenterConfig } from '../../config/data-center-config.js';
import { isOnSearchPath } from '../../config/search-path.js';
import { callHints } from '../call-hints.js';
import type { CommandContext } from '../command-context.js';
import { chooseCoordination } from '../coordination-choice.js';
import { DataCenterRun } from '../data-center-run.js';
import { startDetached } from '../detached-start.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { refuseSecond } from '../folder-claim.js';
import { launcherLog } from '../launcher-log.js';
import { LogFiles } from '../log-files.js';
import { showLogs } from '../log-view.js';
import { memberTable } from '../member-status.js';
import type { MemberStatus } from '../member-status.js';
import { terminalReporter } from '../reporter.js';
import type { Terminal } from '../terminal.js';
import { withExamples } from './examples.js';

export interface UpOptions {
  readonly detach?: boolean;
  readonly config?: string;
  /** False with `--no-zookeeper`. */
  readonly zookeeper: boolean;
  readonly timeout: number;
}

export function addUp(program: Command, context: CommandContext): void {
  const command = program
    .command('up')
    .description('start the coordinator and every node of the ini file')
    .option('-d, --detach', 'return when everything serves; the data center runs on')
    .option('--config <file>', 'another ini file than config/data_center.ini')
    .option('--no-zookeeper', 'use the embedded coordinator instead of ZooKeeper')
    .option('--timeout <seconds>', 'longest time until everything serves', seconds, 60)
    .action((options: UpOptions) => up(context, options));
  withExamples(command, [
    ['./datacenter up', 'start, then show the logs until Ctrl-C stops everything'],
    ['./datacenter up --detach', 'start in the background; ./datacenter down stops it'],
    ['./datacenter up --no-zookeeper', 'without Java'],
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
    showStarted(terminal, config, await startDetached(context, config, options));
    terminal.note('\nit runs in the background: ./datacenter logs --follow, ./datacenter down');
    return;
  }
  const run = new DataCenterRun({
    ...{ config, interruption, detached: false, startTimeoutMs: options.timeout * 1000 },
    coordination: await chooseCoordination(config, {
      embedded: !options.zookeeper,
      log: await launcherLog(config.places.statePath),
    }),
    reporter: terminalReporter(terminal),
  });
  let served = false;
  try {
    const statuses = await run.start();
    served = true;
    showStarted(terminal, config, statuses);
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

function showStarted(
  terminal: Terminal,
  config: DataCenterConfig,
  statuses: readonly MemberStatus[],
): void {
  terminal.print(memberTable(statuses));
  const hints = callHints(statuses, config.security, isOnSearchPath('grpcurl') ? 'grpcurl' : 'buf');
  terminal.note(['', 'Try:', ...hints.map((hint) => `  ${hint}`)].join('\n'));
}
