import type { Command } from 'commander';

import { runApplications } from '../application-process.js';
import type { CommandContext } from '../command-context.js';
import { ExitRequest } from '../exit-codes.js';
import { withExamples } from './examples.js';

export function addApps(program: Command, context: CommandContext): void {
  const command = program
    .command('apps')
    .description('list the applications, one line each')
    .option('--json', 'print one JSON object')
    .action(async (options: { readonly json?: boolean }) => {
      const args = options.json ? ['--list', '--json'] : ['--list'];
      throw new ExitRequest(await runApplications(context, args));
    });
  withExamples(command, [['./datacenter apps', 'what ./datacenter run can run']]);
}
