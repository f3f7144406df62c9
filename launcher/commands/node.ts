import { status } from '@grpc/grpc-js';
import type { Command } from 'commander';

import type { ControllerConfig, DataCenterConfig } from '../../config/data-center-config.js';
import { FractoryError } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import { closest } from '../../runtime/suggestion.js';
import type { CommandContext } from '../command-context.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import { HandNodeRun } from '../hand-node-run.js';
import { LogFiles } from '../log-files.js';
import { showLogs } from '../log-view.js';
import { memberTable } from '../member-status.js';
import { findRunning, withCoordinator } from '../running-data-center.js';
import type { RunningDataCenter } from '../running-data-center.js';
import { withExamples } from './examples.js';
import { statusesOf } from './status.js';
import { seconds } from './up.js';

interface NodeOptions {
  readonly name?: string;
  readonly verbose?: boolean;
  readonly timeout: number;
}

export function addNode(program: Command, context: CommandContext): void {
  const command = program
    .command('node')
    .description('start one more node by hand in the running data center, until Ctrl-C')
    .argument('<type>', 'device type, such as storage, math, cnn, block, application')
    .option('--name <name>', 'member id; default: the first free TYPE-NUMBER')
    .option('-v, --verbose', 'debug lines too')
    .option('--timeout <seconds>', 'longest time until it serves', seconds, 60)
    .action((type: string, options: NodeOptions) => node(context, type, options));
  withExamples(command, [
    ['./datacenter node math', 'one more math node: more throughput'],
    ['./datacenter node storage --name storage-9 -v', 'one more that can take over'],
    [
      'FRACTORY_COORDINATOR=zookeeper://10.0.0.1:2181 FRACTORY_SECRET=... ./datacenter node cnn',
      'on a second machine',
    ],
  ]);
}

async function node(context: CommandContext, type: string, options: NodeOptions): Promise<void> {
  const { terminal, interruption } = context;
  const running = await findRunning(context);
  const controller = controllerFor(running.config, type);
  const name = checkName('--name', options.name ?? (await freeName(running, type)));
  if (options.name !== undefined) await checkFree(running, name);
  interruption.handle();
  const run = new HandNodeRun(running, controller, {
    ...{ name, interruption, verbose: options.verbose ?? false },
    startTimeoutMs: options.timeout * 1000,
  });
  await using logs = await showLogs(new LogFiles(running.config.places.statePath), terminal, [
    name,
  ]);
  try {
    terminal.print(memberTable([await run.start()]));
    terminal.note('\nthe log of the node follows; Ctrl-C stops it\n');
    await Promise.race([interruption.asked(), run.died()]);
  } catch (error) {
    if (!interruption.signal.aborted) throw error;
  } finally {
    await run.stop();
    await logs[Symbol.asyncDispose]();
  }
  terminal.note(`${name} is stopped`);
  if (interruption.by === 'SIGINT') throw new ExitRequest(ExitCode.interrupted);
}

function controllerFor(config: DataCenterConfig, type: string): ControllerConfig {
  const found = config.controllers.find((controller) => controller.type === type);
  if (found) return found;
  const types = config.controllers.map((controller) => controller.type);
  const near = closest(type, types);
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  throw new FractoryError(
    status.NOT_FOUND,
    'UNKNOWN_TYPE',
    `${config.file} has no controller of type ${type}${hint}; it has ${types.join(', ')}`,
  );
}

/** Two nodes of one name would drive each other out. One that only left its registration behind is no hindrance. */
async function checkFree(running: RunningDataCenter, name: string): Promise<void> {
  const members = await statusesOf(running);
  const taken = members.find(({ id, state }) => id === name && state !== 'UNREACHABLE');
  if (!taken) return;
  throw new FractoryError(
    status.ALREADY_EXISTS,
    'NAME_TAKEN',
    `there is a member ${name} already (pid ${String(taken.pid)} at ${taken.address}); choose another --name`,
  );
}

/** The first TYPE-NUMBER that neither a member nor a process of the launcher has. */
async function freeName(running: RunningDataCenter, type: string): Promise<string> {
  const members = await withCoordinator(running, (coordinator) => coordinator.members());
  const taken = new Set(members.map(({ id }) => id));
  for (const { name } of running.record?.processes ?? []) taken.add(name);
  let number = 1;
  while (taken.has(`${type}-${String(number)}`)) number++;
  return `${type}-${String(number)}`;
}
