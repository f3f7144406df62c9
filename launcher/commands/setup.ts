import type { Command } from 'commander';

import type { CommandContext } from '../command-context.js';
import { withExamples } from './examples.js';

/** The script does it before it starts us; here stands its help. */
export function addSetup(program: Command, { terminal }: CommandContext): void {
  const command = program
    .command('setup')
    .description('install what is missing, build, and list what was done')
    .option('--quiet', 'say only what was missing')
    .action(() => {
      terminal.note(
        './datacenter setup is done by the script itself: call it as ./datacenter setup',
      );
    });
  withExamples(command, [['./datacenter setup', 'npm packages, build, ZooKeeper']]);
}
