import { spawn } from 'node:child_process';

import { status } from '@grpc/grpc-js';
import type { Command } from 'commander';

import { childEnvironment } from '../../config/node-environment.js';
import { FractoryError, messageOf } from '../../runtime/errors.js';
import { exitCodeOf } from '../child-exit.js';
import type { CommandContext } from '../command-context.js';
import { ExitRequest } from '../exit-codes.js';
import { withExamples } from './examples.js';

export function addInside(program: Command, context: CommandContext): void {
  const command = program
    .command('inside')
    .description(
      'run any program where the nodes can be reached: in their network, if they have one',
    )
    .argument('<program>', 'such as grpcurl or curl')
    .argument('[arguments...]')
    .allowUnknownOption()
    .passThroughOptions()
    .action((name: string, args: string[]) => inside(context, name, args));
  withExamples(command, [
    [
      './datacenter inside grpcurl -plaintext 10.231.0.10:40123 list',
      'after ./datacenter up --namespaces',
    ],
  ]);
}

/** Commands run there already (`inside-run.ts`), so nothing is left but to start it. */
async function inside(
  { interruption }: CommandContext,
  name: string,
  args: readonly string[],
): Promise<void> {
  const child = spawn(name, args, { stdio: 'inherit', env: childEnvironment() });
  interruption.handle();
  interruption.signal.addEventListener('abort', () => child.kill(interruption.by), { once: true });
  const code = await exitCodeOf(child).catch((error: unknown) => {
    throw new FractoryError(
      status.NOT_FOUND,
      'PROGRAM_NOT_STARTED',
      `${name} can't be started: ${messageOf(error)}`,
    );
  });
  throw new ExitRequest(code);
}
