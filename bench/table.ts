import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Finding } from './statistics.js';

/** Findings as a Markdown table, as it stands in bench/README.md. */
export function asTable(findings: readonly Finding[]): string {
  const rows = findings.map((found) => [
    found.measure,
    `${found.arms[0]} / ${found.arms[1]}`,
    `${number(found.ratio)} [${number(found.range[0])}-${number(found.range[1])}]`,
    targetOf(found),
    Object.entries(found.figures)
      .map(([name, value]) => `${name} ${number(value)}`)
      .join(', '),
  ]);
  const header = ['measure', 'ratio of', 'median [range]', 'target', 'figures (medians)'];
  return [header, header.map(() => '---'), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
}

function targetOf({ target, ratio }: Finding): string {
  if (!target) return '-';
  const { most, least } = target;
  const met = (most === undefined || ratio <= most) && (least === undefined || ratio >= least);
  const text = most !== undefined ? `<= ${String(most)}` : `>= ${String(least)}`;
  return `${text} ${met ? 'met' : 'missed'}`;
}

function number(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(Math.abs(value) >= 100 ? 0 : 2);
}

const README = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../bench/README.md');

/** Puts a table between the markers of bench/README.md, with what it was measured on. */
export async function writeTable(table: string): Promise<void> {
  const text = await readFile(README, 'utf8');
  const machine = `${String(availableParallelism())} cores of ${cpus()[0]?.model ?? 'unknown'}`;
  const measured = `Measured with Node.js ${process.version} on ${machine}.`;
  const block = `<!-- bench -->\n\n${measured}\n\n${table}\n\n<!-- /bench -->`;
  await writeFile(
    README,
    text.replace(/<!-- bench -->[^]*<!-- \/bench -->/, () => block),
  );
}
