import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import path from 'node:path';

import { projectRoot } from '../../config/paths.js';
import { pushPullMs } from '../../gossip/core/formulas.js';
import { lan } from '../../gossip/core/profile.js';
import type { Experiment, Outcome } from '../../gossip/simulator/experiment.js';
import { readFlags } from './flags.js';
import { measured } from './measured.js';
import { picture } from './picture.js';
import { entrySizes } from './push-pull-sizes.js';
import { bytesPerSecond, seconds } from './report.js';
import type { Cost } from './report.js';

const FOLDER = path.join(projectRoot, 'bench');
/** All in all; what has not begun by then is left out, and the file says so. */
const BUDGET_MS = 1_800_000;
/** Of one run: what takes longer is given up. */
const RUN_BUDGET_MS = 100_000;
/** How the members are stopped; see the words. */
const PAUSED = [1, 4, 8, 16] as const;
const STOPS = ['16s', '32s'] as const;
/** Of each. */
const PAUSE_SEEDS = 2;
const PAUSE_FLAGS = '--run-for 16ms --latency 5-25 --for 120s';
const PAUSE_WORDS = `Of 128 members some stand still for 16 s (two seeds) or 32 s (two more), run for 16 ms and stand still again, each from a time of its own, for 2 minutes. The ways take 5 to 25 ms, so that an answer
to their ping mostly comes when they stand still again; as they go on, what they waited for is over before they read what came, as in a process of Node.js after SIGCONT. This setting was selected, as one in which there is something to compare. What the earlier
ones gave (false positives at healthy members: Lifeguard off / on, stalls not watched / on; before a mend of the order of timers when a process goes on; after it, with 16 stopped for 16 s, one seed, runs of 1 ms gave 54 / 0 / 0 and runs of 4 ms 0 / 0 / 0):

| runs of | ways of | stops of | false positives |
| --- | --- | --- | --- |
| 16 ms, 256 ms, 1 s | 0.3 to 1.5 ms | 2 to 32 s | 0 / 0 / 0 in all 24 settings, one seed |
| 1 ms | 0.3 to 1.5 ms | 4, 16, 32 s | 124 / 1 / 0 |
| 4 ms | 0.3 to 1.5 ms | 4, 16, 32 s | 0 / 0 / 0 |
| 16 ms | 5 to 25 ms | 4 s | 2 / 0 / 0 |
| 16 ms | 5 to 25 ms | 16, 32 s | 131 / 1 / 0: these became the table below |

So a difference shows only where answers arrive after a stopped member has stopped again and where stops are longer than a suspicion lasts; in the others there was hardly anything to improve.
`;
const SIZES = [100, 1000, 10_000] as const;
const LOSSES = [0, 0.05, 0.1, 0.2, 0.3] as const;
const SEEDS: Readonly<Record<number, number>> = { 100: 5, 1000: 2, 10_000: 1 };
const seedsOf = (members: number, tcp: string, loss: number): number =>
  members === 1000 && tcp === 'off' && loss > 0.1 ? 1 : (SEEDS[members] ?? 1);
const CRASHES = 5;
const FOR_MS = 30_000;
/** What is left out: without TCP ping all are suspected wrongly again and again, each by each, which takes gigabytes besides. */
const isTooSlow = (members: number, tcp: string, loss: number): boolean =>
  tcp === 'off' && ((members === 10_000 && loss > 0.05) || (members === 1000 && loss > 0.2));

interface Run {
  readonly outcome: Outcome;
  readonly cost: Cost;
}

/** Makes bench/gossip.md and its pictures: all results that stand there. */
export async function writeResults(): Promise<void> {
  const budget = new Budget();
  // What takes long comes last: it is what can be left out.
  const fast = speed(budget);
  await draw(budget, 'crash', '--members 10000 --crash 10 --loss 0.05');
  const [joined, split, paused] = [joins(budget), partitions(budget), pauses(budget)];
  await draw(budget, 'join', '--members 1000 --join 10 --crash 5 --for 30s');
  const detected = detection(budget);
  const parts = [HEAD, detected, paused, joined, split, push(), fast, PICTURES, budget.report()];
  await writeFile(path.join(FOLDER, 'gossip.md'), `${parts.join('\n\n')}\n`);
}

class Budget {
  readonly #beganMs = performance.now();
  readonly #left: string[] = [];
  /** Of what was not run last. */
  why = '';

  /** Undefined where there was no time for it. */
  run(experiment: Experiment, words: string): Run | undefined {
    if (this.#spentMs > BUDGET_MS) {
      this.#left.push(words);
      this.why = 'not run: the time of the whole was up';
      return undefined;
    }
    const beganMs = cpuMs();
    const run = measured({ ...experiment, givesUp: () => cpuMs() - beganMs > RUN_BUDGET_MS });
    console.error(`${seconds(this.#spentMs)} ${words} ${run.outcome.gaveUp ? 'given up' : ''}`);
    if (!run.outcome.gaveUp) return run;
    this.#left.push(words);
    this.why = `given up: took more than ${seconds(RUN_BUDGET_MS)}`;
    return undefined;
  }

  get #spentMs(): number {
    return performance.now() - this.#beganMs;
  }

  report(): string {
    const spent = `Made in ${seconds(this.#spentMs)} with Node.js ${process.version} on ${String(cpus().length)} cores of ${cpus()[0]?.model ?? 'a machine'}, which others share.`;
    if (this.#left.length === 0) return spent;
    const each = String(RUN_BUDGET_MS / 1000);
    return `${spent} Left out, as a run took more than ${each} s of the processor or ${String(BUDGET_MS / 1000)} s in all were up: ${[...new Set(this.#left)].join('; ')}.`;
  }
}

/** Of this process: others use the machine, too. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** An experiment from the flags that a reader would give. */
function asked(words: string): Experiment {
  const asks = readFlags(words.split(' '));
  if (typeof asks === 'string') throw new Error(`no experiment: ${words}`);
  return asks.experiment;
}

async function draw(budget: Budget, name: string, words: string): Promise<Run | undefined> {
  const experiment = asked(words);
  const run = budget.run(experiment, words);
  const file = path.join(FOLDER, `gossip-${name}.svg`);
  if (run) await writeFile(file, picture(words, experiment, run.outcome));
  return run;
}

const HEAD = `# Gossip, simulated

Made by \`npm run simulate -- --results\`; single ones by \`npm run simulate -- --members 10000 --crash 10 --loss 0.05\` and so on (\`--help\`). The members are those that run on sockets
(gossip/core), in virtual time, with memberlist's LAN settings and, unless said, ways of 0.3 to 1.5 ms. Loss hits UDP only: TCP sends again, so with TCP ping on a lossy network hardly makes a suspect. What a
real network adds (bursts, slow machines, TCP under loss) is not in it.`;

const PICTURES = `![A crash of 10 among 10,000 members with 5 % loss](gossip-crash.svg)

![10 members that join 1,000, of which 5 crash](gossip-join.svg)`;

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [header, header.map(() => '---'), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n');
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/** Large ones before what can be left out for lack of time. */
const ORDER = [100, 10_000, 1000] as const;

function detectionRows(budget: Budget, members: number): string[][] {
  return ['on', 'off'].flatMap((tcp) =>
    LOSSES.flatMap((loss) =>
      ['on', 'off'].map((lifeguard) => {
        const words = `--members ${String(members)} --crash ${String(CRASHES)} --loss ${String(loss)} --tcp-ping ${tcp} --lifeguard ${lifeguard} --for ${String(FOR_MS / 1000)}s`;
        const isLeftOut = isTooSlow(members, tcp, loss);
        const outcomes = isLeftOut ? [] : runs(budget, words, seedsOf(members, tcp, loss));
        const why = isLeftOut ? 'not run: takes many minutes and gigabytes' : budget.why;
        const named = [members.toLocaleString('en-US'), tcp, `${String(loss * 100)} %`, lifeguard];
        return [...named, ...detectionCells(outcomes, why)];
      }),
    ),
  );
}

function detection(budget: Budget): string {
  const cells = new Map(ORDER.map((members) => [members, detectionRows(budget, members)]));
  const rows = SIZES.flatMap((members) => cells.get(members) ?? []);
  const header = [
    ...['members', 'TCP ping', 'loss', 'Lifeguard', 'first detection: mean (max)', 'x formula'],
    ...[
      'median, p99',
      'known to all: p99 (max)',
      'x formula',
      'false positives',
      'suspicions',
      'probes',
      'rumours',
    ],
  ];
  return `## Detection of a crash

${String(CRASHES)} members crash at once and are watched for ${String(FOR_MS / 1000)} s; ${SIZES.map((size) => `${String(SEEDS[size])} seeds at ${size.toLocaleString('en-US')}`).join(', ')}; 1 at 1,000 without TCP ping from 20 % loss on. The formula for the first detection: one probe interval until
a probe falls on the dead one (each member is asked once per interval on average, at times that know nothing of each other), one until that probe has failed, and the shortest suspicion, 4 log10 n intervals,
as others confirm it meanwhile. For all: gossip interval x log4 n more. "x formula" compares means, the median is the mean of the seeds' medians; a single seed of ${String(CRASHES)} crashes is off by up to 5 % by chance.

${table(header, rows)}`;
}

function runs(budget: Budget, words: string, seeds: number): Outcome[] {
  return Array.from({ length: seeds }, (_, at) => at + 1).flatMap((seed) => {
    const run = budget.run({ ...asked(words), seed }, words);
    return run ? [run.outcome] : [];
  });
}

/** `why`: there are none. */
function detectionCells(outcomes: readonly Outcome[], why: string): string[] {
  const firsts = outcomes.flatMap(({ first }) => first ?? []);
  const fulls = outcomes.flatMap(({ full }) => full ?? []);
  const [one] = outcomes;
  if (!one) return [why, ...Array.from({ length: 8 }, () => '')];
  const [first, full] = [firsts, fulls].map((all) => mean(all.map((each) => each.mean)));
  const most = (of: typeof firsts): number => Math.max(...of.map((each) => each.most));
  const missed = total(outcomes.map((each) => each.missed));
  return [
    `${seconds(first ?? 0)} (${seconds(most(firsts))})`,
    ((first ?? 0) / one.expectedFirstMs).toFixed(2),
    `${seconds(mean(firsts.map((each) => each.median)))}, ${seconds(Math.max(...firsts.map((each) => each.p99)))}`,
    missed > 0
      ? `${String(missed)} not known to all`
      : `${seconds(Math.max(...fulls.map((each) => each.p99)))} (${seconds(most(fulls))})`,
    missed > 0 ? '' : ((full ?? 0) / one.expectedFullMs).toFixed(2),
    String(total(outcomes.map((each) => each.falsePositives.all))),
    String(total(outcomes.map((each) => each.suspicions))),
    bytesPerSecond(mean(outcomes.map((each) => each.bytes.probes))),
    bytesPerSecond(mean(outcomes.map((each) => each.bytes.rumours))),
  ];
}

/** Lifeguard's set-up: 128 members of which some are stopped again and again. */
function pauses(budget: Budget): string {
  const arms = [
    ['off', '--lifeguard off'],
    ['on, stalls not watched', '--stall-watch off'],
    ['on', ''],
  ] as const;
  const sums = [0, 0, 0];
  const rows = PAUSED.map((paused) => [
    String(paused),
    ...arms.flatMap(([, flags], at) => {
      const outcomes = STOPS.flatMap((stop) =>
        runs(
          budget,
          `--members 128 --pause ${String(paused)} --pause-for ${stop} ${PAUSE_FLAGS} ${flags}`.trim(),
          PAUSE_SEEDS,
        ),
      );
      const healthy = total(outcomes.map(({ falsePositives }) => falsePositives.healthy));
      sums[at] = (sums[at] ?? 0) + healthy;
      const wanted = STOPS.length * PAUSE_SEEDS;
      const some =
        outcomes.length < wanted
          ? ` (${String(outcomes.length)} of ${String(wanted)} runs: ${budget.why})`
          : '';
      return [
        `${String(healthy)}${some}`,
        String(total(outcomes.map(({ suspicions }) => suspicions))),
      ];
    }),
  ]);
  const [off = 0, , on = 0] = sums;
  const verdict = on === 0 ? 'none' : `${(off / on).toFixed(0)} times fewer`;
  return `## Members that are stopped

${PAUSE_WORDS}
A false positive is a healthy member, one that was never stopped, which somebody declares dead; each life that is
taken is counted once. In all: ${String(off)} without Lifeguard, ${String(sums[1])} with it, ${String(on)} with it and with members that notice that they were stopped: ${verdict}.

${table(['stopped', ...arms.flatMap(([name]) => [`false positives, Lifeguard ${name}`, 'suspicions'])], rows)}`;
}

function joins(budget: Budget): string {
  const rows = (
    [
      [100, 1],
      [100, 10],
      [1000, 10],
      [10_000, 3],
    ] as const
  ).flatMap(([members, join]) => {
    const words = `--members ${String(members)} --join ${String(join)} --for 15s`;
    const run = budget.run(asked(words), words);
    const joined = run?.outcome.joined;
    const size = members.toLocaleString('en-US');
    if (!run || !joined) return [[size, String(join), run ? 'nobody' : budget.why, '', '']];
    return [
      [
        size,
        String(join),
        seconds(joined.median),
        seconds(joined.most),
        String(run.outcome.notJoined),
      ],
    ];
  });
  return `## Joins

New members join through one other by an exchange of all that it knows; until all members know the new one.

${table(['members', 'joins at once', 'known to all: median', 'max', 'not known to all after 15 s'], rows)}`;
}

function partitions(budget: Budget): string {
  const rows = (
    [
      [100, 0.1, 80],
      [60, 0.5, 60],
      [100, 0.5, 60],
      [300, 0.3, 120],
      [1000, 0.5, 60],
    ] as const
  ).flatMap(([members, share, heal]) => {
    const words = `--members ${String(members)} --partition ${String(share)} --heal-after ${String(heal)}s --for ${String(heal + 60)}s`;
    const run = budget.run(asked(words), words);
    const named = [String(members), `${String(share * 100)} %`];
    if (!run) return [[...named, budget.why, `${String(heal)} s`, '']];
    const { splitMs, wholeMs } = run.outcome;
    const after = (ms: number | undefined): string =>
      ms === undefined ? 'not in time' : seconds(ms);
    return [[...named, after(splitMs), `${String(heal)} s`, after(wholeMs)]];
  });
  return `## Partition and healing

Nothing goes from one side to the other. A member of a small side doubts itself, as those whom it asks for help are silent, and probes less often: so the split takes longer to be seen than a crash. Members still gossip to the dead for 30 s, which heals what is healed by then; later
nobody joins again by hand: members try those that failed, each every 30 s with a probability of failed to present ones, and again 2 s after one is reached, as \`SerfMember\` does
(gossip/serf/reconnection.ts, as agents of Serf do): one exchange tells each side only that it is taken for dead, and the next one what it answered. Plain memberlist doesn't do that.

${table(['members', 'cut off', 'each side holds all others dead after', 'healed after', 'whole again, from the healing'], rows)}`;
}

/** What exchanges cost: how an entry looks on the wire decides. */
function push(): string {
  const members = 10_000;
  const perSecond = (bytes: number): number =>
    (1.05 * members * bytes * 1000) / pushPullMs(lan, members);
  const sizes = entrySizes(members);
  const packedOf = (name: string): number[] =>
    sizes
      .filter(({ what }) => what.includes(name) && what.endsWith('as they joined'))
      .map(({ packed }) => perSecond(packed));
  const kilobytes = (bytes: number): string => (bytes / 1000).toFixed(1);
  const rows = sizes.map(({ what, raw, packed, packedWithTime }) => [
    what,
    `${raw.toFixed(0)} B`,
    `${packed.toFixed(1)} B`,
    bytesPerSecond(perSecond(raw)),
    bytesPerSecond(perSecond(packed)),
    bytesPerSecond(perSecond(packedWithTime)),
  ]);
  return `## Push/pull at 10,000 members

Each member tells another all that it knows every 300 s (30 s, stretched by memberlist's formula), and is told all by another as often, to which it answers with what that one does not hold: where nothing happens,
itself alone. So it sends all once; headers of TCP are 5 %. (Agents of Go answer with all: they send all twice.) The code of our own LZW was measured on states as they are encoded, in the order in which they are
sent. Compressed, as they joined: ${packedOf('5 tags').map(kilobytes).join(' to ')} kB/s with five tags, ${packedOf('names, as').map(kilobytes).join(' to ')} kB/s without tags. The last column has the times of last intents too, which members at Serf's level exchange: each name once more.

${table(['names and order', 'entry, raw', 'compressed', 'each member sends, raw', 'compressed', 'with the times of Serf'], rows)}`;
}

const SPEEDS = [
  ['10,000 members, nothing happens', '--members 10000 --for 60s'],
  ['10,000 members, 10 crash, 5 % loss', '--members 10000 --crash 10 --loss 0.05'],
] as const;
const ROUNDS = 5;

/** What it costs, round by round, one after the other. */
function speed(budget: Budget): string {
  const rounds = Array.from({ length: ROUNDS }, () =>
    SPEEDS.map(([, words]) => budget.run(asked(words), words)),
  );
  const rows = SPEEDS.map(([what], at) => {
    const all = rounds.flatMap((round) => round[at] ?? []);
    const [one] = all;
    if (!one) return [what, budget.why, '', '', '', ''];
    const { simulatedMs, steadyBytes } = one.outcome;
    return [
      ...[what, seconds(simulatedMs)],
      spread(all.map(({ cost }) => simulatedMs / cost.wallMs)),
      spread(all.map(({ cost }) => simulatedMs / cost.cpuMs)),
      ...[`${(one.cost.peakBytes / 1e6).toFixed(0)} MB`, bytesPerSecond(steadyBytes.probes)],
    ];
  });
  return `## What it takes

${String(ROUNDS)} rounds: median [least to most]. By the clock, the engine's own threads collect garbage and translate on the second core beside the one that simulates; by processor time theirs counts too. Rumours of a crash are
bound by memory: each one looks into the list of another of 10,000 members, so what others do to the caches of a shared machine shows.

${table(['what', 'simulated', 'x real time, by the clock', 'by processor time', 'peak memory of the process, first round', 'probes before the crash'], rows)}`;
}

function spread(values: readonly number[]): string {
  const sorted = [...values].sort((one, other) => one - other).map((value) => value.toFixed(1));
  return `${sorted[sorted.length >> 1] ?? ''} [${sorted[0] ?? ''} to ${sorted.at(-1) ?? ''}]`;
}
