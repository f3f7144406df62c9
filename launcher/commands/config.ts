import type { Command } from 'commander';

import type { EffectiveValue } from '../../config/values.js';
import type { CommandContext } from '../command-context.js';
import { formatTable } from '../table.js';
import { withExamples } from './examples.js';

interface ShowOptions {
  readonly json?: boolean;
  readonly config?: string;
}

export function addConfig(program: Command, context: CommandContext): void {
  const config = program.command('config').description('look at the configuration');
  const show = config
    .command('show')
    .description('print the values in force and where each came from')
    .option('--json', 'print one JSON object')
    .option('--config <file>', 'another ini file than config/data_center.ini')
    .action((options: ShowOptions) => showConfig(context, options));
  const examples: readonly (readonly [string, string])[] = [
    ['./datacenter config show', 'every key: file, environment or default'],
    ['FRACTORY_ZOOKEEPER_SERVERS=1 ./datacenter config show', 'environment wins over file'],
  ];
  withExamples(config, examples);
  withExamples(show, examples);
}

async function showConfig(context: CommandContext, options: ShowOptions): Promise<void> {
  const { terminal } = context;
  const { file, values } = await context.config(options.config);
  if (options.json) {
    terminal.printJson({ file, values });
    return;
  }
  terminal.note(`${file}\n`);
  const rows = values.map((value) => [
    `[${value.section}]`,
    value.key,
    value.value === null ? '' : textOf(value.value),
    value.origin === 'environment' ? `environment: ${value.variable}` : value.origin,
  ]);
  terminal.print(formatTable(['SECTION', 'KEY', 'VALUE', 'FROM'], rows));
}

function textOf(value: EffectiveValue['value']): string {
  if (Array.isArray(value)) return value.join(', ');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
