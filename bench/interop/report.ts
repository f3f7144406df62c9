import type { StepOutcome } from './scenario.js';
import { seconds } from './watch.js';
import type { Violation } from './watch.js';

/** Whether every list was right in time, and nobody was taken for dead who lived. */
export function isRight(
  outcomes: readonly StepOutcome[],
  violations: readonly Violation[],
): boolean {
  return violations.length === 0 && outcomes.every(({ allMs }) => allMs !== undefined);
}

/** The timeline and the verdict, as Markdown. */
export function report(
  outcomes: readonly StepOutcome[],
  violations: readonly Violation[],
  about?: { readonly profile: string; readonly ranMs: number; readonly looks: number },
): string {
  const header = ['at', 'step', 'expected', 'first sees it', 'all see it', 'bound'];
  const rows = outcomes.map(({ atMs, what, expected, firstMs, allMs, boundMs }) => [
    ...[seconds(atMs), what, expected, timeOf(firstMs), timeOf(allMs), seconds(boundMs)],
  ]);
  const table = [header, header.map(() => '---'), ...rows];
  const lines = table.map((row) => `| ${row.join(' | ')} |`);
  for (const { atMs, what } of violations) lines.push(`wrong at ${seconds(atMs)}: ${what}`);
  if (!about) return lines.join('\n');
  const verdict = isRight(outcomes, violations)
    ? 'every list was right within its bound at each step, no false positive'
    : `${String(violations.length)} violations`;
  const ran = `${seconds(about.ranMs)}, profile ${about.profile}, ${String(about.looks)} looks at every list`;
  return [...lines, '', `${ran}: ${verdict}`].join('\n');
}

function timeOf(ms: number | undefined): string {
  return ms === undefined ? 'never' : seconds(ms);
}
