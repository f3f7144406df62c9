import { parseArgs } from 'node:util';

import { profiles } from '../../gossip/core/profile.js';
import { parseDuration } from '../../launcher/chaos/duration.js';
import { EdgePeer } from './edge-peer.js';
import type { Peer } from './peer.js';
import { isRight, report } from './report.js';
import { stepsOf, take } from './scenario.js';
import type { StepOutcome } from './scenario.js';
import { withoutSerf } from './serf-agent.js';
import { SerfPeer } from './serf-peer.js';
import { Watch } from './watch.js';

const Exit = { wrong: 1, usage: 2, noSerf: 3 } as const;
/** Shorter than this not every step has its time. */
const SHORT_MS = 300_000;

const { values } = parseArgs({
  options: {
    for: { type: 'string', default: '10m' },
    profile: { type: 'string', default: 'lan' },
    /** First three numbers of the addresses, within 127. */
    subnet: { type: 'string', default: '127.0.90' },
    json: { type: 'boolean', default: false },
  },
});
const forMs = parseDuration(values.for);
const name = values.profile;
if (forMs === undefined || (name !== 'lan' && name !== 'wan' && name !== 'local'))
  end(
    Exit.usage,
    'usage: --for TIME (as 10m), --profile lan, wan or local, --subnet 127.A.B, --json',
  );
const missing = withoutSerf();
if (missing !== undefined) end(Exit.noSerf, `interop was not run: ${missing}`);

const host = (last: number): string => `${values.subnet}.${String(last)}`;
const ours = [11, 12].map((last) => new EdgePeer(`ours${String(last - 10)}`, host(last), name));
const theirs = [1, 2, 3].map((last) => new SerfPeer(`serf${String(last)}`, host(last), name));
const peers: readonly Peer[] = [...theirs, ...ours];
const stop = (): void => {
  void Promise.all(peers.map((peer) => peer.kill())).then(() => process.exit(130));
};
process.once('SIGINT', stop).once('SIGTERM', stop);

const watch = new Watch(peers);
const outcomes: StepOutcome[] = [];
const steps = stepsOf(ours, theirs, forMs < SHORT_MS);
const starts = steps.filter(({ verb }) => verb === 'starts').length;
try {
  for (const [at, step] of steps.entries()) {
    outcomes.push(await take(step, peers, watch, profiles[name]));
    if (!values.json) console.error(report(outcomes.slice(-1), []).trim().split('\n').at(-1) ?? '');
    const share = (at + 1 - starts) / (steps.length - starts);
    if (share > 0) await watch.hold(share * forMs);
  }
} finally {
  await Promise.all(peers.map((peer) => peer.kill()));
}
const ranMs = watch.nowMs;
const right = isRight(outcomes, watch.violations);
const found = { profile: name, ranMs, looks: watch.looks, outcomes, violations: watch.violations };
console.log(
  values.json ? JSON.stringify({ ...found, right }) : report(outcomes, watch.violations, found),
);
process.exit(right ? 0 : Exit.wrong);

function end(code: number, why: string): never {
  console.error(why);
  process.exit(code);
}
