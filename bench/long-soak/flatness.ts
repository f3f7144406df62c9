import { median } from '../../launcher/tax/statistics.js';
import type { ProcessSample, Sample } from './sampler.js';

/** How one figure of one process went: medians over the first and the last part of its longest life. */
export interface Trend {
  readonly name: string;
  readonly what: 'resident memory, MiB' | 'file descriptors' | 'handles' | 'znodes';
  readonly before: number;
  readonly after: number;
  readonly isFlat: boolean;
}

/** What a figure may grow by: a factor, and something for the noise of small ones. */
interface Allowance {
  readonly factor: number;
  readonly more: number;
}

const MEMORY: Allowance = { factor: 1.2, more: 16 };
/** A heap takes some minutes to find its size, and remembered runs to be as many as they may. */
const YOUNG_MEMORY: Allowance = { factor: 1.2, more: 64 };
const GROWN_UP_MS = 600_000;
/** A follower that comes to lead has connections to more members and clients than before. */
const COUNT: Allowance = { factor: 1.1, more: 48 };
const ZNODES: Allowance = { factor: 1, more: 8 };
/** Caches fill and code is compiled at the beginning. */
const WARM_UP = 0.2;
const PART = 0.25;
/** Of the whole time: shorter lives say nothing about growth. */
const LEAST_LIFE = 0.4;
const LEAST_SAMPLES = 6;
const MIB = 1024 ** 2;

/** Whether what lives long stays as it is. Members that the monkey kills live too short to tell; those that it spares do. */
export function trendsOf(samples: readonly Sample[]): Trend[] {
  const durationMs = samples.at(-1)?.atMs ?? 0;
  const lives = longLives(samples, durationMs);
  const memory = durationMs < GROWN_UP_MS ? YOUNG_MEMORY : MEMORY;
  const znodes = samples.flatMap(({ znodes: count }) => (count === undefined ? [] : [count]));
  return [
    ...lives.flatMap(({ name, points }) => [
      ...trend(name, 'resident memory, MiB', memory, points, (one) => one.residentBytes / MIB),
      ...trend(name, 'file descriptors', COUNT, points, (one) => one.descriptors),
      ...trend(name, 'handles', COUNT, points, (one) => one.handles),
    ]),
    ...trend('coordinator', 'znodes', ZNODES, znodes, (count) => count),
  ];
}

function longLives(
  samples: readonly Sample[],
  durationMs: number,
): { readonly name: string; readonly points: readonly ProcessSample[] }[] {
  const lives = new Map<string, { atMs: number; sample: ProcessSample }[]>();
  for (const { atMs, processes } of samples)
    for (const sample of processes) {
      const key = `${sample.name} ${String(sample.pid)}`;
      lives.set(key, [...(lives.get(key) ?? []), { atMs, sample }]);
    }
  return [...lives.values()].flatMap((points) => {
    const lasted = (points.at(-1)?.atMs ?? 0) - (points[0]?.atMs ?? 0);
    const name = points[0]?.sample.name ?? '';
    return lasted < LEAST_LIFE * durationMs
      ? []
      : [{ name, points: points.map(({ sample }) => sample) }];
  });
}

function trend<T>(
  name: string,
  what: Trend['what'],
  { factor, more }: Allowance,
  points: readonly T[],
  read: (point: T) => number | undefined,
): Trend[] {
  const values = points.flatMap((point) => read(point) ?? []);
  if (values.length < LEAST_SAMPLES) return [];
  const warm = values.slice(Math.floor(WARM_UP * values.length));
  const count = Math.max(2, Math.floor(PART * warm.length));
  const before = median(warm.slice(0, count));
  const after = median(warm.slice(-count));
  return [{ name, what, before, after, isFlat: after <= factor * before + more }];
}
