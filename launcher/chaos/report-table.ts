import { formatTable } from '../table.js';
import { formatDuration } from './duration.js';
import type { Failover, FaultMeasure, RunTally } from './measures.js';

/** Faults and what was measured of them, for people. */
export function faultTable(faults: readonly FaultMeasure[]): string {
  const header = ['AT', 'FAULT', 'MEMBER', 'HEALED', 'NOTICED', 'NEW LEADER', 'NEXT RUN', 'BACK'];
  const rows = faults.map((fault) => [
    ...[`${(fault.atMs / 1000).toFixed(2)} s`, fault.kind],
    fault.leader ? `${fault.target} (leader)` : fault.target,
    ...[time(fault.healedMs), time(fault.noticedMs)],
    fault.newLeaderMs === undefined ? '-' : `${time(fault.newLeaderMs)} (${fault.newLeader ?? ''})`,
    ...[time(fault.nextRunMs), time(fault.backMs)],
  ]);
  return formatTable(header, rows);
}

/** One line for each thing worth saying about the runs. */
export function runLines(tally: RunTally, failover: Failover): string {
  const { runs, succeeded, failed, retried, lost, doubled, wrong, reasons } = tally;
  if (runs === 0) return 'no runs meanwhile';
  const why = Object.entries(reasons).map(([reason, count]) => `${String(count)} ${reason}`);
  const lines = [
    `${String(runs)} runs: ${String(succeeded)} succeeded (${String(retried)} were tried again), ${String(failed)} failed${why.length === 0 ? '' : ` (${why.join(', ')})`}`,
    `lost ${String(lost)}, doubled ${String(doubled)}, wrong ${String(wrong)}`,
  ];
  if (failover.p50 !== null && failover.p99 !== null)
    lines.push(
      `a leader gone to the next run that succeeded: p50 ${formatDuration(failover.p50)}, p99 ${formatDuration(failover.p99)}`,
    );
  return lines.join('\n');
}

/** What is wrong with an experiment; empty where nothing is. */
export function isSpotless({ lost, doubled, wrong }: RunTally): boolean {
  return lost + doubled + wrong === 0;
}

function time(ms: number | undefined): string {
  return ms === undefined ? '-' : formatDuration(ms);
}
