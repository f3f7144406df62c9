import type { Command } from 'commander';

import type { CommandContext } from '../command-context.js';
import { examine } from '../doctor-checks.js';
import type { Finding } from '../doctor-checks.js';
import { ExitCode, ExitRequest } from '../exit-codes.js';
import type { Terminal } from '../terminal.js';
import { withExamples } from './examples.js';

export function addDoctor(program: Command, context: CommandContext): void {
  const command = program
    .command('doctor')
    .description('say what is missing, and the command that mends it')
    .option('--json', 'print one JSON object')
    .action((options: { readonly json?: boolean }) => doctor(context, options.json ?? false));
  withExamples(command, [
    ['./datacenter doctor', 'exit code 1 if something needed is missing or wrong'],
  ]);
}

async function doctor(context: CommandContext, json: boolean): Promise<void> {
  const findings = await examine(context);
  const healthy = findings.every(({ state }) => state === 'ok' || state === 'optional');
  if (json) context.terminal.printJson({ healthy, checks: findings });
  else for (const finding of findings) show(finding, context.terminal);
  if (!healthy) throw new ExitRequest(ExitCode.failed);
}

function show({ state, subject, found, mend }: Finding, terminal: Terminal): void {
  const { green, red, yellow, dim } = terminal.outputColours;
  const mark = {
    ok: green('ok      '),
    missing: red('missing '),
    wrong: red('wrong   '),
    optional: yellow('optional'),
  };
  terminal.print(`${mark[state]} ${subject.padEnd(16)} ${found}`);
  if (mend !== undefined) terminal.print(dim(`${' '.repeat(26)}mend it: ${mend}`));
}
