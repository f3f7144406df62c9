import { seededRandom } from '../../runtime/seeded-random.js';
import { firstDetectionMs, fullDetectionMs } from '../core/formulas.js';
import type { Profile } from '../core/profile.js';
import { Observations } from './observations.js';
import type { FalsePositives } from './observations.js';
import { SimulatedCluster } from './simulated-cluster.js';
import { trafficKinds } from './traffic.js';
import type { TrafficKind } from './traffic.js';

/** What is done to a cluster in which everybody knew everybody. */
export interface Experiment {
  readonly members: number;
  readonly profile: Profile;
  /** The same course for the same seed. */
  readonly seed: number;
  /** Share of UDP packets that are lost, 0 to 1. */
  readonly loss: number;
  /** Shortest and longest way of a packet, ms. */
  readonly latencyMs: readonly [number, number];
  /** How long it is watched from when all this happens, ms. */
  readonly forMs: number;
  /** Members that crash, all at once. */
  readonly crash: number;
  /** Members that join, all at once and through the same one. */
  readonly join: number;
  /** Members whose processes are stopped and go on, again and again, each beginning at a time of its own; in ms. */
  readonly pause: { readonly members: number; readonly stoppedMs: number; readonly runsMs: number };
  /** Share of the members that are cut off from the others, 0 to 1, and after how long they are brought together, ms. */
  readonly partition: { readonly share: number; readonly healAfterMs: number };
  /** Whether members notice that they were stopped. */
  readonly watchesStalls: boolean;
  /** Tags of each member, bytes. */
  readonly metaBytes: number;
  /** Asked twice a simulated second: whether to give up. Default: never. */
  readonly givesUp?: () => boolean;
}

/** Of times in ms; undefined where there are none. */
export interface Spread {
  readonly count: number;
  readonly mean: number;
  readonly median: number;
  readonly p99: number;
  readonly most: number;
}

export interface Point {
  readonly atMs: number;
  /** Share of all that have to know it. */
  readonly deaths: number;
  readonly joins: number;
  /** Bytes per member and second since the point before. */
  readonly bytes: Readonly<Record<TrafficKind, number>>;
}

/** What came of it. Times count from when it was done. */
export interface Outcome {
  /** Until the first and until the last member declared a crashed one dead, one for each that crashed. */
  readonly first: Spread | undefined;
  readonly full: Spread | undefined;
  /** What the formulas say of their means. */
  readonly expectedFirstMs: number;
  readonly expectedFullMs: number;
  /** Of crashed ones, those that not everybody declared dead. */
  readonly missed: number;
  readonly falsePositives: FalsePositives;
  /** Members that were suspected by somebody though they ran, and how often members said that they live. */
  readonly suspicions: number;
  readonly refutations: number;
  /** Bytes that a member sends per second on average, from the beginning to the end. */
  readonly bytes: Readonly<Record<TrafficKind, number>>;
  /** The same before anything was done. */
  readonly steadyBytes: Readonly<Record<TrafficKind, number>>;
  /** Until everybody knew of one that joined, one for each. */
  readonly joined: Spread | undefined;
  readonly notJoined: number;
  /** Until both sides held all others for dead, and until nobody held anybody for dead after the healing; undefined = never. */
  readonly splitMs: number | undefined;
  readonly wholeMs: number | undefined;
  readonly simulatedMs: number;
  readonly gaveUp: boolean;
  readonly curve: readonly Point[];
}

const SETTLE_MS = 5000;
const STEP_MS = 500;

/** Runs it from beginning to end, in virtual time. */
export function run(experiment: Experiment): Outcome {
  const { members, profile, seed, loss, latencyMs, watchesStalls, forMs, metaBytes } = experiment;
  const random = seededRandom(seed);
  const meta = new Uint8Array(metaBytes).map(() => 97 + Math.floor(random() * 26));
  const observations = new Observations(members + experiment.join);
  const cluster: SimulatedCluster = new SimulatedCluster({
    ...{ members, profile, random, loss, latencyMs, watchesStalls, meta },
    reconnects: experiment.partition.share > 0,
    onChange: (observer, change) => {
      observations.note(cluster, observer, change);
    },
  });
  cluster.start();
  cluster.runFor(SETTLE_MS);
  const steady = bytesSince(cluster, undefined, members, SETTLE_MS);
  disturb(cluster, experiment, observations, random);
  const curve = watch(cluster, experiment, observations);
  return {
    first: spreadOf(observations.firstDetections()),
    full: spreadOf(observations.fullDetections()),
    expectedFirstMs: firstDetectionMs(profile, members),
    expectedFullMs: fullDetectionMs(profile, members),
    missed: observations.missedDeaths(),
    falsePositives: observations.falsePositives(),
    suspicions: observations.suspicions,
    refutations: refutations(cluster),
    bytes: bytesSince(cluster, undefined, cluster.size, cluster.time.monotonicMs()),
    steadyBytes: steady,
    joined: spreadOf(observations.joins()),
    notJoined: experiment.join - observations.joins().length,
    splitMs: observations.splitMs,
    wholeMs: observations.wholeMs,
    simulatedMs: cluster.time.monotonicMs(),
    gaveUp: cluster.time.monotonicMs() < SETTLE_MS + forMs,
    curve,
  };
}

function disturb(
  cluster: SimulatedCluster,
  { members, crash, join, pause, partition, forMs }: Experiment,
  observations: Observations,
  random: () => number,
): void {
  const places = drawn(members, crash + pause.members, random);
  const crashed = places.slice(0, crash);
  const paused = places.slice(crash);
  observations.begin(cluster.time.monotonicMs(), { crashed, paused, members });
  for (const place of crashed) cluster.crash(place);
  const untilMs = cluster.time.monotonicMs() + forMs;
  for (const place of paused) pauseAgain(cluster, place, pause, untilMs, random);
  for (let joiner = 0; joiner < join; joiner++)
    observations.joining(cluster.join(seedOf(cluster, members)));
  if (partition.share > 0) split(cluster, members, partition, observations);
}

/** Who is joined through: the first that runs. */
function seedOf(cluster: SimulatedCluster, members: number): number {
  for (let place = 0; place < members; place++) if (!cluster.isCrashed(place)) return place;
  throw new Error(`all of ${String(members)} members crashed`);
}

function pauseAgain(
  cluster: SimulatedCluster,
  place: number,
  { stoppedMs, runsMs }: Experiment['pause'],
  untilMs: number,
  random: () => number,
): void {
  const stop = (): void => {
    if (cluster.time.monotonicMs() + stoppedMs > untilMs) return;
    cluster.pause(place, stoppedMs);
    cluster.time.after(stoppedMs + runsMs, stop);
  };
  cluster.time.after(random() * (stoppedMs + runsMs), stop);
}

/** The first places are cut off. Nobody joins again when they are brought together: members try those that failed. */
function split(
  cluster: SimulatedCluster,
  members: number,
  { share, healAfterMs }: Experiment['partition'],
  observations: Observations,
): void {
  const away = Math.min(members - 1, Math.max(1, Math.round(share * members)));
  for (let place = 0; place < away; place++) cluster.moveTo(place, 1);
  observations.split(away);
  cluster.time.after(healAfterMs, () => {
    for (let place = 0; place < away; place++) cluster.moveTo(place, 0);
    observations.heal(cluster.time.monotonicMs());
  });
}

function watch(
  cluster: SimulatedCluster,
  { forMs, givesUp }: Experiment,
  observations: Observations,
): Point[] {
  const curve: Point[] = [];
  for (let atMs = 0; atMs < forMs && givesUp?.() !== true;) {
    const stepMs = Math.min(STEP_MS, forMs - atMs);
    const before = cluster.traffic.sent;
    cluster.runFor(stepMs);
    atMs += stepMs;
    const bytes = bytesSince(cluster, before, cluster.size, stepMs);
    curve.push({ atMs, ...observations.shares(), bytes });
  }
  return curve;
}

type Sent = SimulatedCluster['traffic']['sent'];

function bytesSince(
  cluster: SimulatedCluster,
  before: Sent | undefined,
  members: number,
  ms: number,
): Record<TrafficKind, number> {
  const now = cluster.traffic.sent;
  const perSecond = (kind: TrafficKind): number =>
    ((now[kind].bytes - (before?.[kind].bytes ?? 0)) / members / ms) * 1000;
  return Object.fromEntries(trafficKinds.map((kind) => [kind, perSecond(kind)])) as Record<
    TrafficKind,
    number
  >;
}

function refutations(cluster: SimulatedCluster): number {
  let count = 0;
  for (let place = 0; place < cluster.size; place++)
    count += cluster.member(place).membership.refuted;
  return count;
}

/** So many different places, at random. */
function drawn(members: number, count: number, random: () => number): number[] {
  const places = new Set<number>();
  while (places.size < Math.min(count, members)) places.add(Math.floor(random() * members));
  return [...places];
}

function spreadOf(times: readonly number[]): Spread | undefined {
  if (times.length === 0) return undefined;
  const sorted = [...times].sort((one, other) => one - other);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  const mean = sorted.reduce((sum, time) => sum + time, 0) / sorted.length;
  return { count: sorted.length, mean, median: at(0.5), p99: at(0.99), most: at(1) };
}
