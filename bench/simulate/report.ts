import type { Experiment, Outcome, Spread } from '../../gossip/simulator/experiment.js';
import { trafficKinds } from '../../gossip/simulator/traffic.js';

/** What it cost to simulate. */
export interface Cost {
  readonly cpuMs: number;
  readonly wallMs: number;
  readonly peakBytes: number;
}

/** For people, a line for each figure. */
export function asText(
  words: string,
  experiment: Experiment,
  outcome: Outcome,
  cost: Cost,
): string {
  const rows = [
    ...detectionRows(experiment, outcome),
    ...joinRows(experiment, outcome),
    ...partitionRows(experiment, outcome),
    ...doubtRows(experiment, outcome),
    ...trafficRows(outcome),
    ['simulated', costOf(outcome, cost)] as const,
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const title = words === '' ? `${String(experiment.members)} members` : words;
  return [title, ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`)].join('\n');
}

type Row = readonly [name: string, value: string];

function detectionRows({ crash }: Experiment, outcome: Outcome): Row[] {
  if (crash === 0) return [];
  const { first, full, expectedFirstMs, expectedFullMs, missed } = outcome;
  return [
    ['first detection', `${spread(first)}; ${beside(first, expectedFirstMs)}`],
    ['known to all', `${spread(full)}; ${beside(full, expectedFullMs)}`],
    ...(missed > 0 ? [['not known to all', `${String(missed)} of ${String(crash)}`] as Row] : []),
  ];
}

function joinRows({ join }: Experiment, { joined, notJoined }: Outcome): Row[] {
  if (join === 0) return [];
  const missing = notJoined > 0 ? `; ${String(notJoined)} of ${String(join)} never were` : '';
  return [['joins known to all', spread(joined) + missing]];
}

function partitionRows({ partition }: Experiment, { splitMs, wholeMs }: Outcome): Row[] {
  if (partition.share === 0) return [];
  const after = (ms: number | undefined): string =>
    ms === undefined ? 'never in this time' : `after ${seconds(ms)}`;
  return [
    ['both sides hold each other dead', after(splitMs)],
    ['whole again after the healing', after(wholeMs)],
  ];
}

function doubtRows(
  { pause }: Experiment,
  { falsePositives, suspicions, refutations }: Outcome,
): Row[] {
  const { all, healthy, byPaused } = falsePositives;
  const only =
    pause.members === 0
      ? ''
      : `; of members that were never stopped ${String(healthy)}, ${String(byPaused)} of them by one that was`;
  return [
    ['false positives', `${String(all)}${only}`],
    [
      'suspicions of the living',
      `${String(suspicions)} in all lists; refuted ${String(refutations)} times`,
    ],
  ];
}

function trafficRows({ bytes, steadyBytes }: Outcome): Row[] {
  return trafficKinds.map((kind) => [
    kind,
    `${bytesPerSecond(bytes[kind])} per member, ${bytesPerSecond(steadyBytes[kind])} before`,
  ]);
}

function costOf({ simulatedMs }: Outcome, { cpuMs, wallMs, peakBytes }: Cost): string {
  const times = (ms: number): string => (simulatedMs / ms).toFixed(simulatedMs < 20 * ms ? 1 : 0);
  const megabytes = (peakBytes / 1e6).toFixed(0);
  return `${seconds(simulatedMs)} in ${seconds(wallMs)}, ${times(wallMs)} x real time (${times(cpuMs)} x by processor time), ${megabytes} MB`;
}

function spread(times: Spread | undefined): string {
  if (!times) return 'never';
  const { median, p99, most } = times;
  return `median ${seconds(median)}, p99 ${seconds(p99)}, max ${seconds(most)}`;
}

function beside(times: Spread | undefined, expectedMs: number): string {
  if (!times) return `by formula ${seconds(expectedMs)}`;
  const ratio = (times.mean / expectedMs).toFixed(2);
  return `mean ${seconds(times.mean)} = ${ratio} x formula (${seconds(expectedMs)})`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 100_000 ? 1 : 0)} s`;
}

export function bytesPerSecond(bytes: number): string {
  return `${bytes < 10_000 ? bytes.toFixed(0) : Math.round(bytes).toLocaleString('en-US')} B/s`;
}
