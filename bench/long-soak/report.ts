import type { MonkeySummary } from '../../launcher/chaos/report.js';
import type { Trend } from './flatness.js';

export interface SoakReport {
  readonly startedAt: string;
  readonly minutes: number;
  readonly seed: number;
  readonly machine: string;
  readonly runs: MonkeySummary;
  readonly trends: readonly Trend[];
}

/** Whether it went as it should. */
export function isSoaked({ runs, trends }: SoakReport): boolean {
  const { lost, doubled, wrong, succeeded } = runs;
  return lost + doubled + wrong === 0 && succeeded > 0 && trends.every(({ isFlat }) => isFlat);
}

export function soakMarkdown(report: SoakReport): string {
  const { startedAt, minutes, seed, machine, runs, trends } = report;
  const { p50, p99 } = runs.failoverMs;
  const reasons = Object.entries(runs.reasons).map(
    ([reason, count]) => `${String(count)} ${reason}`,
  );
  const rows = trends.map(({ name, what, before, after, isFlat }) =>
    [name, what, figure(before), figure(after), isFlat ? 'flat' : 'GROWS'].join(' | '),
  );
  return [
    `# Soak of ${startedAt}: ${isSoaked(report) ? 'passed' : 'FAILED'}`,
    '',
    `${String(minutes)} minutes of runs and monkey (seed ${String(seed)}) on ${machine}.`,
    '',
    `- ${String(runs.runs)} runs: ${String(runs.succeeded)} succeeded (${String(runs.retried)} were tried again), ${String(runs.failed)} failed${reasons.length === 0 ? '' : ` (${reasons.join(', ')})`}`,
    `- lost ${String(runs.lost)}, doubled ${String(runs.doubled)}, wrong ${String(runs.wrong)}`,
    `- a leader gone to the next run that succeeded: p50 ${String(p50 ?? '-')} ms, p99 ${String(p99 ?? '-')} ms`,
    '',
    '| process | what | first quarter | last quarter | |',
    '| --- | --- | --- | --- | --- |',
    ...rows.map((row) => `| ${row} |`),
    '',
    'Medians over the life of each process that lived for most of the time, its first fifth left out.',
    '',
  ].join('\n');
}

function figure(value: number): string {
  return value.toFixed(value < 1000 && !Number.isInteger(value) ? 1 : 0);
}
