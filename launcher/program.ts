import { Command } from 'commander';

import { VERSION } from '../runtime/version.js';
import type { CommandContext } from './command-context.js';
import { addApps } from './commands/apps.js';
import { addChaos } from './commands/chaos.js';
import { addConfig } from './commands/config.js';
import { addDemo } from './commands/demo.js';
import { addDoctor } from './commands/doctor.js';
import { addDown } from './commands/down.js';
import { addDrain } from './commands/drain.js';
import { withExamples } from './commands/examples.js';
import { addGossip } from './commands/gossip.js';
import { addInside } from './commands/inside.js';
import { addLogs } from './commands/logs.js';
import { addModels } from './commands/models.js';
import { addNode } from './commands/node.js';
import { addPredict } from './commands/predict.js';
import { addRestart } from './commands/restart.js';
import { addRun } from './commands/run.js';
import { addSetup } from './commands/setup.js';
import { addStatus } from './commands/status.js';
import { addSupervise } from './commands/supervise.js';
import { addTax } from './commands/tax.js';
import { addTrain } from './commands/train.js';
import { addUp } from './commands/up.js';

const EXIT_CODES = `
Exit codes: 0 ok, 1 failed, 2 wrong usage or configuration, 3 not found, 5 unreachable or timed out,
130 stopped by Ctrl-C. Data goes to standard output, everything else to standard error.`;

/** The whole command line. Ends in exceptions, never in an exit of its own. */
export function makeProgram(context: CommandContext): Command {
  const program = new Command('./datacenter')
    .description('A data center that runs on a laptop: nodes that work together without a hub')
    .version(VERSION)
    .enablePositionalOptions()
    .showHelpAfterError('(--help shows examples)')
    .exitOverride()
    .addHelpText('after', EXIT_CODES);
  withExamples(program, [
    ['./datacenter demo', 'see it work'],
    ['./datacenter up', 'start the data center and watch its logs'],
    ['./datacenter status', 'in another terminal: who is there and who leads'],
    ['./datacenter run shift-left --n 7 --m 9', 'run an application'],
    ['./datacenter predict photos/', 'ask a model about pictures'],
    ['./datacenter doctor', 'what is missing, and what mends it'],
  ]);
  for (const add of [
    ...[addDemo, addUp, addStatus, addDown, addLogs, addRun, addApps, addNode],
    ...[addRestart, addDrain],
    ...[addModels, addPredict, addTrain],
    ...[addGossip, addInside, addChaos, addTax, addDoctor, addSetup, addConfig, addSupervise],
  ])
    add(program, context);
  return program;
}
