import type { Command } from 'commander';

import { applicationNodes, runApplications } from '../application-process.js';
import type { CommandContext } from '../command-context.js';
import { chooseCoordination } from '../coordination-choice.js';
import { DataCenterRun } from '../data-center-run.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { launcherLog } from '../launcher-log.js';
import { memberTable } from '../member-status.js';
import { terminalReporter } from '../reporter.js';
import { RunFile } from '../run-file.js';
import { findRunning } from '../running-data-center.js';
import { withExamples } from './examples.js';
import { seconds } from './up.js';

interface DemoOptions {
  readonly json?: boolean;
  readonly zookeeper: boolean;
  readonly timeout: number;
}

export function addDemo(program: Command, context: CommandContext): void {
  const command = program
    .command('demo')
    .description('start everything, classify freshly drawn pictures, stop everything')
    .option('--json', 'end with one JSON object')
    .option('--no-zookeeper', 'use the embedded coordinator instead of ZooKeeper')
    .option('--timeout <seconds>', 'longest time until everything serves', seconds, 60)
    .action((options: DemoOptions) => demo(context, options));
  withExamples(command, [
    ['./datacenter demo', 'the main job of the project, from one command'],
    ['./datacenter demo --json', '{"application": "image-prediction", "results": [...]}'],
  ]);
}

async function demo(context: CommandContext, options: DemoOptions): Promise<void> {
  const { terminal, interruption, places } = context;
  interruption.handle();
  const found = await new RunFile(places.statePath).read();
  if (found.state === 'running') {
    terminal.note('using the data center that runs already; it stays up');
    throw new ExitRequest(await drawAndClassify(context, options));
  }
  const config = await context.config();
  const run = new DataCenterRun({
    ...{ config, interruption, detached: false, startTimeoutMs: options.timeout * 1000 },
    coordination: await chooseCoordination(config, {
      embedded: !options.zookeeper,
      log: await launcherLog(config.places.statePath),
    }),
    reporter: terminalReporter(terminal),
  });
  let exitCode: number = ExitCode.failed;
  try {
    const members = await run.start();
    terminal.note(`${memberTable(members)}\n`);
    exitCode = await drawAndClassify(context, options);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    await run.stop();
  }
  terminal.note('everything is stopped');
  throw new ExitRequest(interruption.by === 'SIGINT' ? ExitCode.interrupted : exitCode);
}

async function drawAndClassify(context: CommandContext, options: DemoOptions): Promise<number> {
  const running = await findRunning(context);
  const nodes = await applicationNodes(running);
  const args = ['demo', '--application-node', nodes.join(',')];
  if (options.json) args.push('--json');
  return runApplications(context, args, running.config.security);
}
