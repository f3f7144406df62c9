import type { Profile } from '../../gossip/core/profile.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import { boundsOf } from './bounds.js';
import { EdgePeer } from './edge-peer.js';
import { FINE, Front } from './front.js';
import type { Weather } from './front.js';
import type { Peer } from './peer.js';
import { SerfPeer } from './serf-peer.js';
import { Watch } from './watch.js';
import type { Violation } from './watch.js';

export const HARDSHIPS = ['loss', 'stop', 'one-way'] as const;
export type Hardship = (typeof HARDSHIPS)[number];

export interface HardshipOptions {
  readonly name: 'lan' | 'wan' | 'local';
  readonly profile: Profile;
  readonly subnet: string;
  /** How long each is watched while all should be well. */
  readonly holdMs: number;
  /** Shares of packets that are lost, one after the other. */
  readonly losses: readonly number[];
  readonly say: (line: string) => void;
  /** Hears of the agents before they are started. */
  readonly onStart: (peers: readonly Peer[]) => void;
}

/** What came of one hardship. */
export interface HardshipOutcome {
  readonly what: string;
  readonly tookMs: number;
  /** Packets that passed, were lost, came twice, came late at the fronts with bad weather. */
  readonly packets?: Front['counts'];
  /** Until all saw the one that stood still as failed, and, when it went on, as alive. */
  readonly failedMs?: number;
  readonly backMs?: number;
  readonly violations: readonly Violation[];
  /** Whether violations are no fault: at such a loss there may be some. */
  readonly isHopeless: boolean;
}

/** Up to here nobody who lives may be taken for dead. */
const BEARABLE_LOSS = 0.1;
const OURS = [11, 12] as const;
const THEIRS = [1, 2, 3] as const;

/** Two of ours and three of Serf, each reached through a front of its own. */
class FrontedCluster implements AsyncDisposable {
  readonly ours: readonly EdgePeer[];
  readonly theirs: readonly SerfPeer[];
  readonly fronts: ReadonlyMap<string, Front>;
  readonly watch: Watch;
  readonly #options: HardshipOptions;

  private constructor(options: HardshipOptions, fronts: ReadonlyMap<string, Front>) {
    const { name } = options;
    const of = (last: number) => [hostOf(options, last), name, frontOf(options, last)] as const;
    this.#options = options;
    this.fronts = fronts;
    this.ours = OURS.map((last) => new EdgePeer(`ours${String(last - 10)}`, ...of(last)));
    this.theirs = THEIRS.map((last) => new SerfPeer(`serf${String(last)}`, ...of(last)));
    this.watch = new Watch(this.all);
  }

  /** Resolves when all see all. */
  static async start(options: HardshipOptions): Promise<FrontedCluster> {
    const random = seededRandom(7);
    const fronts = new Map<string, Front>();
    for (const last of [...OURS, ...THEIRS]) {
      const host = hostOf(options, last);
      fronts.set(host, await Front.open(frontOf(options, last), host, random));
    }
    const cluster = new FrontedCluster(options, fronts);
    options.onStart(cluster.all);
    const [seed, ...others] = cluster.all;
    for (const peer of [seed, ...others]) {
      if (!peer) continue;
      cluster.watch.begin(peer.name, 'alive');
      await peer.start(peer === seed ? undefined : seed?.address);
      await cluster.settled(peer, 'joinMs');
    }
    return cluster;
  }

  get all(): readonly Peer[] {
    return [...this.theirs, ...this.ours];
  }

  async settled(peer: Peer, bound: 'joinMs' | 'failMs'): Promise<number | undefined> {
    const boundMs = boundsOf(this.#options.profile, this.all.length)[bound];
    return (await this.watch.settled(peer.name, boundMs)).allMs;
  }

  hold(): Promise<void> {
    return this.watch.hold(this.watch.nowMs + this.#options.holdMs);
  }

  front(last: number): Front {
    const front = this.fronts.get(hostOf(this.#options, last));
    if (!front) throw new Error(`there is no front ${String(last)}`);
    return front;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.all.map((peer) => peer.kill()));
    await Promise.all([...this.fronts.values()].map((front) => front[Symbol.asyncDispose]()));
  }
}

function hostOf({ subnet }: HardshipOptions, last: number): string {
  return `${subnet}.${String(last)}`;
}

function frontOf(options: HardshipOptions, last: number): string {
  return hostOf(options, 100 + last);
}

/** One hardship after the other, each in a new cluster. */
export async function endure(
  which: Hardship,
  options: HardshipOptions,
): Promise<HardshipOutcome[]> {
  const trials: (() => Promise<HardshipOutcome>)[] = {
    loss: options.losses.map((loss) => () => lossy(options, loss)),
    stop: [() => stopped(options, 'ours'), () => stopped(options, 'theirs')],
    'one-way': [() => oneWay(options, 'ours'), () => oneWay(options, 'theirs')],
  }[which];
  const outcomes: HardshipOutcome[] = [];
  for (const trial of trials) {
    const outcome = await trial();
    options.say(lineOf(outcome));
    outcomes.push(outcome);
  }
  return outcomes;
}

/** Between one of ours and all others, both ways. */
async function lossy(options: HardshipOptions, loss: number): Promise<HardshipOutcome> {
  await using cluster = await FrontedCluster.start(options);
  const bad: Weather = { loss, duplicates: 0.1, late: 0.1 };
  cluster.front(11).weather = bad;
  for (const last of [12, ...THEIRS])
    cluster.front(last).weather = { ...bad, from: hostOf(options, 11) };
  await cluster.hold();
  const what = `${(100 * loss).toFixed(0)} % lost, 10 % twice, 10 % late, to and from ours1`;
  const isHopeless = loss > BEARABLE_LOSS;
  const packets = totalOf([...cluster.fronts.values()].map(({ counts }) => counts));
  return { ...outcomeOf(cluster, what), packets, isHopeless };
}

/** Its process stands still until all hold it dead, and goes on. */
async function stopped(
  options: HardshipOptions,
  kind: 'ours' | 'theirs',
): Promise<HardshipOutcome> {
  await using cluster = await FrontedCluster.start(options);
  const peer = cluster[kind][1];
  if (!peer) throw new Error(`there is no second of ${kind}`);
  cluster.watch.begin(peer.name, 'failed');
  peer.pause();
  const failedMs = await cluster.settled(peer, 'failMs');
  cluster.watch.begin(peer.name, 'alive');
  peer.resume();
  const backMs = await cluster.settled(peer, 'joinMs');
  await cluster.hold();
  const times = { ...(failedMs && { failedMs }), ...(backMs && { backMs }) };
  return { ...outcomeOf(cluster, `${peer.name} is stopped, and goes on`), ...times };
}

/** One hears the other, and is not heard. */
async function oneWay(options: HardshipOptions, deaf: 'ours' | 'theirs'): Promise<HardshipOutcome> {
  await using cluster = await FrontedCluster.start(options);
  const [ear, mouth] = deaf === 'ours' ? ([11, 1] as const) : ([1, 11] as const);
  cluster.front(ear).weather = { ...FINE, loss: 1, from: hostOf(options, mouth) };
  await cluster.hold();
  const what = deaf === 'ours' ? 'ours1 hears nothing of serf1' : 'serf1 hears nothing of ours1';
  return { ...outcomeOf(cluster, what), packets: cluster.front(ear).counts };
}

function totalOf(all: readonly Front['counts'][]): Front['counts'] {
  const sum = (key: keyof Front['counts']): number =>
    all.reduce((total, counts) => total + counts[key], 0);
  const [passed, lost, doubled, late] = [sum('passed'), sum('lost'), sum('doubled'), sum('late')];
  return { passed, lost, doubled, late };
}

function outcomeOf({ watch }: FrontedCluster, what: string): HardshipOutcome {
  return { what, tookMs: watch.nowMs, violations: watch.violations, isHopeless: false };
}

/** Whether nobody who lives was taken for dead where that can be asked for, and who stood still came back. */
export function isEndured(outcomes: readonly HardshipOutcome[]): boolean {
  return outcomes.every(({ violations, isHopeless }) => isHopeless || violations.length === 0);
}

function lineOf({ what, tookMs, packets, failedMs, backMs, violations }: HardshipOutcome): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  const facts = [
    ...(failedMs === undefined ? [] : [`seen as failed after ${seconds(failedMs)}`]),
    ...(backMs === undefined ? [] : [`as alive ${seconds(backMs)} after it goes on`]),
    ...(packets
      ? [
          `of ${String(packets.passed + packets.lost)} packets ${String(packets.lost)} lost, ${String(packets.doubled)} twice, ${String(packets.late)} late`,
        ]
      : []),
    `${String(violations.length)} violations in ${seconds(tookMs)}`,
  ];
  const wrong = violations.map(({ atMs, what: why }) => `\n  wrong at ${seconds(atMs)}: ${why}`);
  return `${what}: ${facts.join('; ')}${wrong.join('')}`;
}
