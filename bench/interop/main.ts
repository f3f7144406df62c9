import { profiles } from '../../gossip/core/profile.js';
import { askedOf, BadFlag, parsedFlags, timeOf } from '../flags.js';
import { EdgePeer } from './edge-peer.js';
import { endure, HARDSHIPS, isEndured } from './hardships.js';
import type { HardshipOutcome } from './hardships.js';
import type { Peer } from './peer.js';
import { isRight, report } from './report.js';
import { stepsOf, take } from './scenario.js';
import type { StepOutcome } from './scenario.js';
import { withoutSerf } from './serf-agent.js';
import { SerfPeer } from './serf-peer.js';
import { Watch } from './watch.js';

const Exit = { wrong: 1, noSerf: 3 } as const;
/** Shorter than this not every step has its time. */
const SHORT_MS = 300_000;

const HELP = `Two of our agents and three of Debian's serf are killed, leave and come back.

  npm run interop -- [flags]

  --for T          how long (default 10m)
  --profile NAME   lan, wan or local (default lan)
  --hardship NAME  loss (packets to and from one of ours are lost, come twice or late), stop (one of each
                   kind stands still until it is taken for dead, and goes on), one-way (one hears the
                   other, not back) or all; each is watched for a minute, or --for
  --loss P,...     percents that are lost, one after the other (default 0,5,10,20,30); nobody who lives
                   may be taken for dead up to 10
  --subnet 127.A.B first three numbers of the addresses (default 127.0.90)
  --json           one object instead of the report

Exit codes: 0 right, 1 wrong, 2 wrong flags, 3 no serf to do it with.`;
const PROFILES = ['lan', 'wan', 'local'] as const;
const SUBNET = /^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){2}$/;

const { values, forMs, name, subnet, hard, losses } = askedOf(HELP, (argv) => {
  const text = { type: 'string' } as const;
  const json = { type: 'boolean', default: false } as const;
  const { values: given } = parsedFlags(argv, {
    ...{ for: text, profile: text, subnet: text, json, hardship: text, loss: text },
  });
  const { profile = 'lan', subnet: numbers = '127.0.90' } = given;
  const known = PROFILES.find((one) => one === profile);
  if (!known) throw new BadFlag(`--profile ${profile} is none of ${PROFILES.join(', ')}`);
  if (!SUBNET.test(numbers)) throw new BadFlag(`--subnet ${numbers} is not of the form 127.A.B`);
  const { hardship, loss = '0,5,10,20,30' } = given;
  const hard = HARDSHIPS.filter((one) => one === hardship || hardship === 'all');
  if (hardship !== undefined && hard.length === 0)
    throw new BadFlag(`--hardship ${hardship} is none of ${HARDSHIPS.join(', ')}, all`);
  const losses = loss.split(',').map((percent) => Number(percent) / 100);
  if (!losses.every((share) => share >= 0 && share < 1))
    throw new BadFlag(`--loss ${loss} is not percents, as 0,10,30`);
  return {
    ...{ values: given, name: known, subnet: numbers, hard, losses },
    forMs: timeOf('--for', given.for ?? (hard.length > 0 ? '1m' : '10m')),
  };
});
const missing = withoutSerf();
if (missing !== undefined) end(Exit.noSerf, `interop was not run: ${missing}`);

/** To be ended with this process. */
let started: readonly Peer[] = [];
const stop = (): void => {
  void Promise.all(started.map((peer) => peer.kill())).then(() => process.exit(130));
};
process.once('SIGINT', stop).once('SIGTERM', stop);
if (hard.length > 0) process.exit(await endureAll());
const host = (last: number): string => `${subnet}.${String(last)}`;
const ours = [11, 12].map((last) => new EdgePeer(`ours${String(last - 10)}`, host(last), name));
const theirs = [1, 2, 3].map((last) => new SerfPeer(`serf${String(last)}`, host(last), name));
const peers: readonly Peer[] = [...theirs, ...ours];
started = peers;

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

/** Hardships instead of comings and goings. */
async function endureAll(): Promise<number> {
  const say = (line: string): void => {
    if (!values.json) console.log(line);
  };
  const outcomes: HardshipOutcome[] = [];
  for (const which of hard) {
    const onStart = (cluster: readonly Peer[]): void => {
      started = cluster;
    };
    const options = { name, profile: profiles[name], subnet, holdMs: forMs, losses, say, onStart };
    outcomes.push(...(await endure(which, options)));
  }
  const right = isEndured(outcomes);
  if (values.json) console.log(JSON.stringify({ profile: name, outcomes, right }));
  return right ? 0 : Exit.wrong;
}

function end(code: number, why: string): never {
  console.error(why);
  process.exit(code);
}
