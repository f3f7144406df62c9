import { status } from '@grpc/grpc-js';
import type { Command } from 'commander';

import { FractoryError } from '../../runtime/errors.js';
import { failureData } from '../../runtime/failure-data.js';
import { closest } from '../../runtime/suggestion.js';
import { applicationNames, applicationNodes, runApplications } from '../application-process.js';
import type { CommandContext } from '../command-context.js';
import { ExitRequest } from '../exit-codes.js';
import { findRunning } from '../running-data-center.js';
import { withExamples } from './examples.js';

/** Those that the applications' own program reads; the options of each application stand in its own help. */
const COMMON_OPTIONS = `
Options of every application:
  --json               answer with one JSON object; a failure is {"error": {code, reason, message, step, member}}
  --topology <name>    ring = the nodes pass on to each other (default), star = step by step through the application node
  --budget <seconds>   longest time of each run (default 30)
  --durable            its runs go on if the application node dies: they are written down in storage first
  --plan               print the graph of the first run, without running or writing anything
  --format <format>    how --plan prints it: text (default), json, mermaid, svg`;

export function addRun(program: Command, context: CommandContext): void {
  const command = program
    .command('run')
    .description('run an application in the data center')
    .argument('<application>', 'its file name without .ts: ./datacenter apps lists them')
    .argument('[options...]', '--option value ... of the application; its --help explains them')
    .allowUnknownOption()
    .passThroughOptions()
    .action((name: string, args: string[]) =>
      run(context, name, args).catch((error: unknown) => {
        if (args.includes('--json') && error instanceof FractoryError)
          context.terminal.printJson(failureData(error));
        throw error;
      }),
    );
  command.addHelpText('after', COMMON_OPTIONS);
  withExamples(command, [
    ['./datacenter run shift-left --n 7 --m 9', '7 * 2^9 by a chain of nine doublings'],
    ['./datacenter run shift-left --help', 'the options of an application'],
    ['./datacenter run NAME --json', 'the result as one JSON object'],
    [
      './datacenter run NAME --plan --format svg > plan.svg',
      'a drawing of its graph; nothing is run',
    ],
    ['./datacenter run NAME --topology star', 'step by step through the application node'],
  ]);
}

async function run(context: CommandContext, name: string, args: readonly string[]): Promise<void> {
  await checkApplication(context, name);
  if (args.includes('--help') || args.includes('-h'))
    throw new ExitRequest(await runApplications(context, [name, '--help']));
  const running = await findRunning(context);
  const nodes = await applicationNodes(running);
  const { security } = running.config;
  const told = [name, '--application-node', nodes.join(','), ...args];
  throw new ExitRequest(await runApplications(context, told, security));
}

async function checkApplication(context: CommandContext, name: string): Promise<void> {
  const names = await applicationNames(context.places.root);
  if (names.includes(name)) return;
  const near = closest(name, names);
  const hint = near === undefined ? '' : ` (did you mean ${near}?)`;
  throw new FractoryError(
    status.NOT_FOUND,
    'UNKNOWN_APPLICATION',
    `there is no application ${name}${hint}; ./datacenter apps lists them`,
  );
}
