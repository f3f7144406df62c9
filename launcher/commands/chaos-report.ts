import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import type { Command } from 'commander';

import { readExperiment } from '../chaos/experiment.js';
import { chaosReport } from '../chaos/report.js';
import type { ChaosReport } from '../chaos/report.js';
import { faultTable, runLines } from '../chaos/report-table.js';
import { timeline } from '../chaos/timeline.js';
import type { CommandContext } from '../command-context.js';
import { checkPictureFile } from '../tax/picture-file.js';
import { withExamples } from './examples.js';

interface ReportOptions {
  readonly json?: boolean;
  readonly svg?: string;
}

/** Findings that are shown one by one. */
const MOST_FINDINGS = 20;

export function addChaosReport(chaos: Command, context: CommandContext): void {
  const command = chaos
    .command('report')
    .description('show an experiment: what was done, what was measured, how the runs ended')
    .argument('[experiment]', 'its name, as the experiment told it (default: the last)')
    .option('--svg <file>', 'draw it as a timeline')
    .option('--json', 'print one JSON object')
    .action((name: string | undefined, options: ReportOptions) => report(context, name, options));
  withExamples(command, [
    ['./datacenter chaos report', 'the last experiment as a table'],
    ['./datacenter chaos report --svg chaos.svg', 'and as a picture'],
    ['./datacenter chaos report --json', '{"experiment": ..., "faults": [...], "runs": {...}}'],
  ]);
}

async function report(
  { terminal, places }: CommandContext,
  name: string | undefined,
  { json, svg }: ReportOptions,
): Promise<void> {
  const picture = svg === undefined ? undefined : path.resolve(svg);
  if (picture !== undefined) await checkPictureFile(picture);
  const events = await readExperiment(places.statePath, name);
  const found = chaosReport(events);
  if (picture !== undefined) await writeFile(picture, timeline(events));
  if (json) terminal.printJson(found);
  else {
    terminal.note(headOf(found));
    terminal.print(faultTable(found.faults));
    terminal.print(`\n${runLines(found.runs, found.failoverMs)}`);
    for (const { run, outcome, detail } of found.findings.slice(0, MOST_FINDINGS))
      terminal.print(`${outcome}: ${run}: ${detail}`);
    for (const text of found.notes.slice(0, MOST_FINDINGS)) terminal.note(`note: ${text}`);
  }
  if (picture !== undefined) terminal.note(`the picture is ${picture}`);
}

function headOf({ experiment, command, durationMs, complete, ...rest }: ChaosReport): string {
  const { coordinator, sessionTimeoutMs, seed } = rest;
  const facts = [
    `${(durationMs / 1000).toFixed(1)} s`,
    `${coordinator}, session timeout ${String(sessionTimeoutMs)} ms`,
    ...(seed === undefined ? [] : [`seed ${String(seed)}`]),
    ...(complete ? [] : ['interrupted']),
  ];
  return `${experiment}: ./datacenter ${command} (${facts.join('; ')})\n`;
}
