import { monitorEventLoopDelay } from 'node:perf_hooks';

import { pino } from 'pino';

import type { MemberChange } from '../../../gossip/core/membership.js';
import type { ClusterSetup, ClusterVitals } from './fuzzed-cluster.js';
import { agents, plainMembers } from './fuzzed-members.js';

/** One member that is attacked, beside two that are well: an own process, so that the attackers' work is not measured. */
const setup = JSON.parse(process.argv[2] ?? '{}') as ClusterSetup;
const { victim, healthy } = setup;
const MOST_TOLD = 1000;
const errors: string[] = [];
const trouble: string[] = [];
/** What an operator hears of a bad query: no fault. */
const EXPECTED = /a key of the cluster could not be changed/;

const log = pino(
  { level: 'error', base: {} },
  {
    write: (line: string) => {
      if (EXPECTED.test(line) || errors.length >= MOST_TOLD) return;
      const { msg, err } = JSON.parse(line) as { msg: string; err?: { stack?: string } };
      errors.push(`${msg}: ${String(err?.stack).slice(0, 600)}`);
    },
  },
);

function changed(by: string, { kind, member: { name: whom } }: MemberChange): void {
  if (by === victim || by === whom || !healthy.includes(whom)) return;
  if (kind === 'fail' || kind === 'leave') trouble.push(`${by} sees ${kind} of ${whom}`);
}

process.on('uncaughtException', (error) => errors.push(String(error.stack)));
process.on('unhandledRejection', (error) => errors.push(String(error)));

const start = setup.level === 'agents' ? agents : plainMembers;
const members = await start(setup, { log, changed });
const delay = monitorEventLoopDelay({ resolution: 2 });

function vitals(): ClusterVitals {
  const { rss, heapUsed } = process.memoryUsage();
  const dropped: Record<string, number> = {};
  for (const counts of members.counts)
    for (const [why, count] of counts.dropped) dropped[why] = (dropped[why] ?? 0) + count;
  for (const [at, view] of members.views().entries())
    for (const name of healthy)
      if (!view.includes(name)) trouble.push(`${name} is not in the list of ${healthy[at] ?? ''}`);
  const [attacked] = members.counts;
  return {
    ...{ residentBytes: rss, heapBytes: heapUsed, dropped, errors, trouble },
    longestStallMs: delay.max / 1e6,
    p99StallMs: delay.percentile(99) / 1e6,
    members: members.known(),
    packetsIn: attacked.packetsIn,
    refuted: attacked.refuted,
  };
}

process.on('message', (word) => {
  if (word === 'begin') {
    delay.reset();
    delay.enable();
  } else if (word === 'pulse') {
    void members.pulse().then((faults) => process.send?.(faults));
  } else {
    globalThis.gc?.();
    process.send?.(vitals());
  }
});
// Looked at rather than waited for: it has to end even where what it is told is lost in what it is attacked with.
setInterval(() => {
  if (!process.connected) process.exit(0);
}, 200);
const { port, httpPort, peerPorts } = members;
process.send?.({ port, httpPort, peerPorts });
