import type { Arrangement } from '../serving.js';
import type { FixedParts } from './arrangement.js';

/** A way to run a model that can be measured. */
export type Candidate = Pick<Arrangement, 'workers' | 'threads' | 'maxBatch'>;

/** What a candidate reached. */
export interface Speed extends Candidate {
  /** Requests a second, all workers busy. */
  readonly perSecond: number;
  /** Time of one run of a single request while nothing else runs, ms. */
  readonly loneMs: number;
  /** Time of one run with all its requests, all workers busy, ms. */
  readonly runMs: number;
}

/** Counts the rules of this file: what was chosen by older ones is measured again. */
export const RULES_VERSION = 2;

const BATCHES = [2, 4, 8, 16];
/** Share of the highest throughput that is as good as that: measurements are no more exact. */
const AS_GOOD = 0.97;
/** What a batch has to gain to be worth the wait for its slowest. */
const BATCH_GAIN = 1.1;
/** Largest batch that is taken though it computes no faster. */
const SPARING_BATCH = 4;
/** Longest run of such a batch, ms: what has just missed it waits that long. */
const SPARING_RUN_MS = 10;
/** Share of the rate of single requests from which on such a batch is measured a second time. */
const HOPEFUL = 0.9;

/** Ways to use all cores with one request in a run, what is fixed aside; the plain one, a thread for each core, first. */
export function candidatesOf(cores: number, fixed: FixedParts): Candidate[] {
  const maxBatch = fixed.maxBatch ?? 1;
  const workersFor = (threads: number): number =>
    Math.min(cores, fixed.workers ?? Math.max(1, Math.floor(cores / threads)));
  const most = Math.max(1, Math.floor(cores / (fixed.workers ?? 1)));
  const threads = fixed.threads === undefined ? powersOfTwo(most) : [fixed.threads];
  return threads.map((count) => ({ workers: workersFor(count), threads: count, maxBatch }));
}

/** The same with several requests in a run. */
export function batchCandidatesOf({ workers, threads }: Candidate, fixed: FixedParts): Candidate[] {
  if (fixed.maxBatch !== undefined) return [];
  return BATCHES.map((maxBatch) => ({ workers, threads, maxBatch }));
}

/**
 * The best of what was measured; `speeds[0]` is the plain one and nothing that is slower is ever chosen. The highest throughput wins; among those that are as
 * good, the one that answers a lone request soonest, and then the smallest batch.
 */
export function choose(speeds: readonly Speed[]): Speed {
  const [plain] = speeds;
  if (!plain) throw new Error('nothing was measured');
  const worth = (speed: Speed): number =>
    speed.maxBatch > plain.maxBatch ? speed.perSecond / BATCH_GAIN : speed.perSecond;
  const best = Math.max(...speeds.map(worth));
  const good = speeds.filter(
    (speed) =>
      speed === plain || (speed.perSecond >= plain.perSecond && worth(speed) >= best * AS_GOOD),
  );
  return good.reduce((chosen, speed) => (isBetter(speed, chosen, best) ? speed : chosen));
}

function isBetter(speed: Speed, chosen: Speed, best: number): boolean {
  const isGood = (one: Speed): boolean => one.perSecond >= best * AS_GOOD;
  if (isGood(speed) !== isGood(chosen)) return isGood(speed);
  if (speed.loneMs !== chosen.loneMs && speed.threads !== chosen.threads)
    return speed.loneMs < chosen.loneMs;
  return speed.maxBatch < chosen.maxBatch;
}

/**
 * Batches, the largest first, that may be taken where none is faster. Each run costs this process and the worker some 60 us for its messages, which measuring in the
 * worker doesn't see: requests that wait anyway share them.
 */
export function sparingCandidates(single: Speed, speeds: readonly Speed[]): Speed[] {
  return speeds
    .filter(
      ({ workers, threads, maxBatch, runMs, perSecond }) =>
        single.maxBatch === 1 &&
        workers === single.workers &&
        threads === single.threads &&
        maxBatch > 1 &&
        maxBatch <= SPARING_BATCH &&
        runMs <= SPARING_RUN_MS &&
        perSecond >= single.perSecond * HOPEFUL,
    )
    .sort((one, other) => other.maxBatch - one.maxBatch);
}

/** Whether a batch computes its requests as fast as they are one by one. */
export function isAsFast(batch: Speed, single: Speed): boolean {
  return batch.runMs <= SPARING_RUN_MS && batch.perSecond >= single.perSecond * AS_GOOD;
}

/** Two measurements of the same. */
export function meanOf(first: Speed, second: Speed): Speed {
  return {
    ...first,
    perSecond: (first.perSecond + second.perSecond) / 2,
    runMs: (first.runMs + second.runMs) / 2,
  };
}

/** Why it was chosen, with the figures of all. */
export function reasonOf(
  chosen: Speed,
  speeds: readonly Speed[],
  notes: readonly string[],
): string {
  const others = speeds.filter((speed) => speed !== chosen).map(textOf);
  return [
    `measured: ${textOf(chosen)}, ${chosen.loneMs.toPrecision(2)} ms for one alone`,
    ...(others.length > 0 ? [`against ${others.join(', ')}`] : []),
    ...notes,
  ].join('; ');
}

function textOf({ workers, threads, maxBatch, perSecond }: Speed): string {
  return `${String(workers)} workers x ${String(threads)} threads x batch ${String(maxBatch)}: ${perSecond.toFixed(0)}/s`;
}

function powersOfTwo(most: number): number[] {
  const powers: number[] = [];
  for (let power = 1; power <= most; power *= 2) powers.push(power);
  return powers;
}
