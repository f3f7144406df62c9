import { attackGossip } from './gossip-campaign.js';
import type { GossipReport } from './gossip-campaign.js';

/** Longest that the event loop of three members may stand still on a machine that does other things too, ms. */
const LONGEST_STALL_MS = 250;

/** Attacks a cluster without a key, then one with a key and a label, half of the time each. */
export async function fuzzGossip(seed: number, forMs: number): Promise<readonly GossipReport[]> {
  const options = {
    ...{ seed, forMs: forMs / 2, seeds: [], longestStallMs: LONGEST_STALL_MS },
    ...{ packetsPerSecond: 2000, streams: 24 },
  };
  const plain = await attackGossip({ ...options, secured: false });
  return [plain, await attackGossip({ ...options, secured: true })];
}

/** For people: Markdown. */
export function gossipText(reports: readonly GossipReport[]): string {
  return reports.map(textOf).join('\n\n');
}

function textOf({
  secured,
  packets,
  streams,
  heard,
  before,
  after,
  findings,
}: GossipReport): string {
  const sum = (counts: Readonly<Record<string, number>>): string =>
    String(Object.values(counts).reduce((total, count) => total + count, 0));
  const mib = (bytes: number): string => `${(bytes / 1024 ** 2).toFixed(0)} MiB`;
  const listed = (counts: Readonly<Record<string, number>>): string =>
    Object.entries(counts)
      .sort(([, one], [, other]) => other - one)
      .map(([name, count]) => `${name} ${String(count)}`)
      .join(', ');
  return [
    `members ${secured ? 'with a key and a label' : 'without a key'}: ${sum(packets)} packets of ${String(Object.keys(packets).length)} kinds, ${sum(streams)} connections of ${String(Object.keys(streams).length)} kinds`,
    `dropped: ${listed(after.dropped)}; refuted ${String(after.refuted)}; made-up members known: ${String(after.members)}`,
    `event loop of the three members: p99 ${after.p99StallMs.toFixed(1)} ms, longest ${after.longestStallMs.toFixed(0)} ms`,
    `memory ${mib(before.residentBytes)} -> ${mib(after.residentBytes)}, heap ${mib(before.heapBytes)} -> ${mib(after.heapBytes)}`,
    `looked at what they sent: ${String(heard.packets)} packets, ${String(heard.exchanges)} exchanges`,
    `${String(findings.length)} findings`,
    ...findings.map(({ fault, count }) => `- ${fault} (${String(count)} times)`),
  ].join('\n');
}
