import type { CampaignReport } from './campaign.js';
import { mib } from './vitals.js';

/** For people: Markdown. */
export function asText(report: CampaignReport): string {
  const { seed, attackedMs, calls, methods, endings, attacks, idle, services, vitals } = report;
  const total = Object.values(attacks).reduce((sum, count) => sum + count, 0);
  const before = vitals[0] ?? [];
  const first = vitals[1] ?? [];
  const last = vitals.at(-1) ?? [];
  const ended = Object.entries(endings).sort(([, one], [, other]) => other - one);
  return [
    `seed ${String(seed)}, attacked for ${(attackedMs / 1000).toFixed(0)} s: ${String(calls)} calls of ${String(methods)} methods, ${String(total)} attacks of ${String(Object.keys(attacks).length)} kinds on connections`,
    `calls ended: ${ended.map(([name, count]) => `${name} ${String(count)}`).join(', ')}`,
    ...idle.map(
      ({ target, opened, kept }) =>
        `of ${String(opened)} idle connections ${target} kept ${String(kept)}`,
    ),
    '',
    '| node | calls of those who mean well | over new connections | failed | p50 ms | p99 ms | longest ms |',
    '|---|---|---|---|---|---|---|',
    ...services.map(
      ({ id, calls: served, newcomers, failed, p50Ms, p99Ms, longestMs }) =>
        `| ${id} | ${String(served)} | ${String(newcomers)} | ${String(failed)} | ${p50Ms.toFixed(1)} | ${p99Ms.toFixed(0)} | ${longestMs.toFixed(0)} |`,
    ),
    '',
    '| process | memory before | at the first rest | at the last | heap | descriptors | handles |',
    '|---|---|---|---|---|---|---|',
    ...last.map(({ id, residentBytes, heapBytes, descriptors, handles }, index) => {
      const [start, rest] = [before[index], first[index]];
      const heaps = [rest?.heapBytes, heapBytes].map((bytes) => mib(bytes ?? 0)).join(' -> ');
      const memory = [start, rest].map((one) => mib(one?.residentBytes ?? 0)).join(' | ');
      return `| ${id} | ${memory} | ${mib(residentBytes)} | ${heaps} | ${String(rest?.descriptors)} -> ${String(descriptors)} | ${String(rest?.handles ?? '')} -> ${String(handles ?? '')} |`;
    }),
    '',
    `${String(report.findings.length)} findings`,
    ...report.findings.map(
      ({ fault, count, first: one }) =>
        `- ${fault} (${String(count)} times${one ? `, first with seed ${String(one.seed)}` : ''})`,
    ),
  ].join('\n');
}
