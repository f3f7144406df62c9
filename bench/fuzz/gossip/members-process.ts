import { monitorEventLoopDelay } from 'node:perf_hooks';

import { local } from '../../../gossip/core/profile.js';
import { Memberlist } from '../../../gossip/memberlist.js';
import { Keyring } from '../../../gossip/wire/keyring.js';
import { endpointText } from '../../../gossip/net/address.js';
import type { ClusterSetup, ClusterVitals } from './fuzzed-cluster.js';

/** One member that is attacked, beside two that are well: an own process, so that the attackers' work is not measured. */
const { key, label, victim, healthy } = JSON.parse(process.argv[2] ?? '{}') as ClusterSetup;
const errors: string[] = [];
const trouble: string[] = [];
const profile = {
  ...local,
  ...{ probeIntervalMs: 200, probeTimeoutMs: 100, gossipIntervalMs: 50, pushPullIntervalMs: 1000 },
  ...{ suspicionMultiplier: 6, retransmitMultiplier: 4 },
};

async function member(name: string): Promise<Memberlist> {
  return Memberlist.create({
    ...{ name, profile, label, port: 0 },
    ...(key === '' ? {} : { keyring: new Keyring([Buffer.from(key, 'base64')]) }),
    onChange: ({ kind, member: { name: whom } }) => {
      const isReal = whom === victim || healthy.includes(whom);
      if (isReal && whom !== name && (kind === 'fail' || kind === 'leave') && name !== victim)
        if (whom !== victim) trouble.push(`${name} sees ${kind} of ${whom}`);
    },
  });
}

const attacked = await member(victim);
const others = await Promise.all(healthy.map(member));
for (const other of others) await other.join([endpointText(attacked.localMember())]);
const all = [attacked, ...others];
const delay = monitorEventLoopDelay({ resolution: 2 });

function vitals(): ClusterVitals {
  const { rss, heapUsed } = process.memoryUsage();
  const dropped: Record<string, number> = {};
  for (const { counts } of all)
    for (const [why, count] of counts.dropped) dropped[why] = (dropped[why] ?? 0) + count;
  for (const other of others) {
    const seen = new Set(other.members().map(({ name }) => name));
    for (const name of healthy) if (!seen.has(name)) trouble.push(`${name} is not in a list`);
  }
  return {
    ...{ residentBytes: rss, heapBytes: heapUsed, dropped, errors, trouble },
    longestStallMs: delay.max / 1e6,
    p99StallMs: delay.percentile(99) / 1e6,
    members: attacked.allMembers().length,
    packetsIn: attacked.counts.packetsIn,
    refuted: attacked.counts.refuted,
  };
}

process.on('uncaughtException', (error) => errors.push(String(error.stack)));
process.on('unhandledRejection', (error) => errors.push(String(error)));
process.on('message', (word) => {
  if (word === 'begin') {
    delay.reset();
    delay.enable();
    return;
  }
  globalThis.gc?.();
  process.send?.(vitals());
});
// Looked at rather than waited for: it has to end even where what it is told is lost in what it is attacked with.
setInterval(() => {
  if (!process.connected) process.exit(0);
}, 200);
process.send?.({ port: attacked.localMember().port });
