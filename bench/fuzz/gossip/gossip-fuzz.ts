import { attackGossip } from './gossip-campaign.js';
import type { GossipReport } from './gossip-campaign.js';

/** Longest that the event loop of three members may stand still on a machine that does other things too, ms. */
const LONGEST_STALL_MS = 250;

/** Attacks members of memberlist and an agent among agents, each without a key, then with a key and a label: a quarter of the time each. */
export async function fuzzGossip(seed: number, forMs: number): Promise<readonly GossipReport[]> {
  const options = {
    ...{ seed, forMs: forMs / 4, seeds: [], longestStallMs: LONGEST_STALL_MS },
    ...{ packetsPerSecond: 2000, streams: 24 },
  };
  const reports: GossipReport[] = [];
  for (const level of ['members', 'agents'] as const)
    for (const secured of [false, true])
      reports.push(await attackGossip({ ...options, level, secured }));
  return reports;
}

/** For people: Markdown. */
export function gossipText(reports: readonly GossipReport[]): string {
  return reports.map(textOf).join('\n\n');
}

function textOf({
  level,
  secured,
  requests,
  packets,
  streams,
  heard,
  before,
  after,
  findings,
}: GossipReport): string {
  const sum = (counts: Readonly<Record<string, number>>): string =>
    String(Object.values(counts).reduce((total, count) => total + count, 0));
  const of = (what: string, number: number): string =>
    number > 0 ? `, ${String(number)} ${what}` : '';
  const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(0)} MiB`;
  const listed = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .sort(([, one], [, other]) => other - one)
      .map(([name, count]) => `${name} ${String(count)}`)
      .join(', ');
  return [
    `${level} ${secured ? 'with a key and a label' : 'without a key'}: ${sum(packets)} packets of ${String(Object.keys(packets).length)} kinds, ${sum(streams)} connections of ${String(Object.keys(streams).length)} kinds`,
    ...(level === 'agents'
      ? [
          `${sum(requests)} broken requests over HTTP of ${String(Object.keys(requests).length)} kinds`,
        ]
      : []),
    `dropped: ${listed(after.dropped)}; refuted ${String(after.refuted)}; made-up members known: ${String(after.members)}`,
    `event loop of the three members: p99 ${after.p99StallMs.toFixed(1)} ms, longest ${after.longestStallMs.toFixed(0)} ms`,
    `memory ${mib(before.residentBytes)} -> ${mib(after.residentBytes)}, heap ${mib(before.heapBytes)} -> ${mib(after.heapBytes)}`,
    `looked at what they sent: ${String(heard.packets)} packets, ${String(heard.exchanges)} exchanges${of('states', heard.states)}${of('answers to who means well', heard.answers)}`,
    `${String(findings.length)} findings`,
    ...findings.map(({ fault, count }) => `- ${fault} (${String(count)} times)`),
  ].join('\n');
}
