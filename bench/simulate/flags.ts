import { profiles, withoutLifeguard } from '../../gossip/core/profile.js';
import type { Profile } from '../../gossip/core/profile.js';
import type { Experiment } from '../../gossip/simulator/experiment.js';
import { BadFlag, MOST_SEED, parsedFlags, timeOf, wholeOf } from '../flags.js';

export { BadFlag };

/** What was asked for. */
export interface Asked {
  readonly experiment: Experiment;
  readonly json: boolean;
  readonly svg: string | undefined;
  /** For the heading of the report and the picture. */
  readonly words: string;
}

export const HELP = `Simulates a cluster of gossip members in virtual time: the same code as on sockets.

  npm run simulate -- [flags]

  --members N         members that know each other at the beginning (default 1000, up to 100000)
  --crash K           members that crash, all at once (default 0)
  --join K            members that join, all at once and through one other (default 0)
  --pause K           members whose processes are stopped again and again (default 0)
  --pause-for T       how long they are stopped each time (default 8s)
  --run-for T         how long they run in between (default 100ms)
  --partition P       share of the members that are cut off, above 0, below 1
  --heal-after T      when they are brought together again (default 30s)
  --loss P            share of UDP packets that are lost, 0 to below 1 (default 0); TCP loses none, it sends again
  --latency FROM-TO   way of a packet in ms (default 0.3-1.5)
  --profile NAME      ${Object.keys(profiles).join(', ')} (default lan)
  --lifeguard off     as plain SWIM: shortest suspicions, no doubt in oneself, no nacks, suspects are not told, stalls are not watched
  --stall-watch off   members don't notice that they were stopped
  --tcp-ping off      members that don't answer are not asked over TCP
  --tags BYTES        tags that each member carries, 0 to 512 (default 0)
  --for T             how long it is watched (default 60s)
  --seed S            the same course for the same seed (default 1)
  --json              one line of JSON instead of the table
  --svg FILE          a picture of who knew when, and what it cost
  --results           all results of bench/gossip.md, with its pictures: some minutes; takes no other flag

Examples:
  npm run simulate -- --members 10000 --crash 10 --loss 0.05 --seed 1
  npm run simulate -- --members 128 --pause 8 --pause-for 16s --for 300s --lifeguard off
  npm run simulate -- --members 500 --partition 0.3 --heal-after 40s --for 120s --svg split.svg
`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const flags = {
  ...{ members: text, crash: text, join: text, pause: text, 'pause-for': text, 'run-for': text },
  ...{ partition: text, 'heal-after': text, loss: text, latency: text, profile: text },
  ...{ lifeguard: text, 'stall-watch': text, 'tcp-ping': text, tags: text, for: text, seed: text },
  ...{ json: flag, svg: text, results: flag, help: flag },
} as const;

const MOST_MEMBERS = 100_000;
const MOST_TAGS = 512;

/** Reads the command line. Throws a BadFlag. */
export function readFlags(argv: readonly string[]): Asked | 'help' | 'results' {
  const { values } = parsedFlags(argv, flags);
  if (values.help === true) return 'help';
  if (values.results === true) {
    if (Object.keys(values).length > 1) throw new BadFlag('--results takes no other flag');
    return 'results';
  }
  const whole = (name: keyof typeof values, least: number, most: number, usual: number): number =>
    wholeOf(`--${name}`, values[name] as string | undefined, [least, most], usual);
  const members = whole('members', 2, MOST_MEMBERS, 1000);
  const crash = whole('crash', 0, members - 1, 0);
  const paused = whole('pause', 0, members - 1 - crash, 0);
  const lifeguard = isOn('lifeguard', values.lifeguard);
  const experiment: Experiment = {
    ...{ members, crash, join: whole('join', 0, MOST_MEMBERS, 0) },
    profile: profileOf(values.profile, lifeguard, isOn('tcp-ping', values['tcp-ping'])),
    seed: whole('seed', 0, MOST_SEED, 1),
    loss: share('loss', values.loss, true),
    latencyMs: latency(values.latency ?? '0.3-1.5'),
    forMs: timeOf('--for', values.for ?? '60s'),
    pause: {
      members: paused,
      stoppedMs: timeOf('--pause-for', values['pause-for'] ?? '8s'),
      runsMs: timeOf('--run-for', values['run-for'] ?? '100ms'),
    },
    partition: {
      share: values.partition === undefined ? 0 : share('partition', values.partition, false),
      healAfterMs: timeOf('--heal-after', values['heal-after'] ?? '30s'),
    },
    watchesStalls: lifeguard && isOn('stall-watch', values['stall-watch']),
    metaBytes: whole('tags', 0, MOST_TAGS, 0),
  };
  const words = argv.filter((one, at) => one !== '--json' && !isPicture(one, argv[at - 1]));
  return { experiment, json: values.json ?? false, svg: values.svg, words: words.join(' ') };
}

function isPicture(word: string, before: string | undefined): boolean {
  return word.startsWith('--svg') || before === '--svg';
}

function share(name: string, value: string | undefined, orNone: boolean): number {
  if (value === undefined) return 0;
  const number = /^\d*\.?\d+$/.test(value) ? Number(value) : Number.NaN;
  if (number < 1 && (orNone ? number >= 0 : number > 0)) return number;
  throw new BadFlag(`--${name} ${value} is not a share ${orNone ? 'from' : 'above'} 0, below 1`);
}

function latency(value: string): [number, number] {
  const [from, to] = (/^(\d*\.?\d+)-(\d*\.?\d+)$/.exec(value) ?? []).slice(1).map(Number);
  if (from !== undefined && to !== undefined && from > 0 && from <= to) return [from, to];
  throw new BadFlag(`--latency ${value} is not a range of milliseconds such as 0.3-1.5`);
}

function isOn(name: string, value = 'on'): boolean {
  if (value === 'on' || value === 'off') return value === 'on';
  throw new BadFlag(`--${name} ${value} is neither on nor off`);
}

function profileOf(name = 'lan', lifeguard: boolean, tcpFallback: boolean): Profile {
  const profile = Object.entries(profiles).find(([known]) => known === name)?.[1];
  if (!profile)
    throw new BadFlag(`--profile ${name} is none of ${Object.keys(profiles).join(', ')}`);
  return { ...(lifeguard ? profile : withoutLifeguard(profile)), tcpFallback };
}
