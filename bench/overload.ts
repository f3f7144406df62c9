import sharp from 'sharp';

import { DataCenter } from '../applications/sdk/data-center.js';
import { sequence } from '../applications/sdk/flow/flow.js';
import { graphOf } from '../applications/sdk/flow/graph.js';
import { paintShape, SHAPES } from '../applications/sdk/painter.js';
import { seededRandom } from '../runtime/seeded-random.js';
import { cnn, storage } from '../applications/sdk/steps.js';
import type { Graph } from '../protos/gen/fractory/v1/graph.js';
import { load } from './run-load.js';
import type { LoadReport } from './run-load.js';
import { measureSlowMember } from './slow-member.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median, quantile } from './statistics.js';
import type { Finding } from './statistics.js';

const TIMES = 4;
const IDLE_MS = 1500;
const CAPACITY_MS = 1500;
/** Callers that wait for their runs: whatever number does most is the capacity. */
const CALLERS = [6, 12] as const;
const OVERLOAD_MS = 6000;
/** The limit finds its place; figures of the whole time stand beside those without it. */
const SETTLING_MS = 2000;
/** Each costs the time until a member is taken back, 5 s at least. */
const SLOW_ROUNDS = 3;
const CLIENT = 'bench';
const PICTURE = { client: CLIENT, name: 'shape.jpg' };
/** Names that predictions are stored under: runs that write one name wait for each other. */
const NAMES = 64;

interface Round {
  readonly capacity: number;
  readonly idleP99Ms: number;
  readonly goodput: number;
  readonly p99Ms: number;
  readonly wholeP99Ms: number;
  readonly refusedShare: number;
  readonly refusedP50Ms: number;
  readonly failed: number;
}

/** image-prediction at four times the rate that the data center can do, arriving without regard to it: what is done, and how long that takes. */
export async function measureOverload(rounds: number): Promise<Finding[]> {
  await using center = await SmallDataCenter.start({ 'storage-1': 'storage', 'cnn-1': 'cnn' });
  await upload(center.address);
  const graphs = Array.from({ length: NAMES }, (_, name) => predictionGraph(name));
  // Warms everything up: code, models, connections.
  await load(center.address, graphs, { callers: 4, durationMs: 3000 });
  const all: Round[] = [];
  for (let round = 0; round < rounds; round++)
    all.push(await measureRound(center.address, graphs, round + 1));
  const of = (figure: keyof Round): number => median(all.map((one) => one[figure]));
  const figures = {
    ...{ capacityPerSecond: of('capacity'), idleP99Ms: of('idleP99Ms'), p99Ms: of('p99Ms') },
    ...{ wholeP99Ms: of('wholeP99Ms'), refusedShare: of('refusedShare') },
    ...{ refusedP50Ms: of('refusedP50Ms'), failed: of('failed') },
  };
  return [
    finding(
      'overload_4x_goodput',
      ['runs done a second at 4 times the capacity', 'the capacity'],
      all.map(({ goodput, capacity }) => goodput / capacity),
      figures,
      { least: 0.9 },
    ),
    finding(
      'overload_4x_p99_vs_idle',
      ['p99 of the runs that were let in', 'p99 of idle'],
      all.map(({ p99Ms, idleP99Ms }) => p99Ms / idleP99Ms),
      figures,
      { most: 5 },
    ),
    ...(await measureSlowMember(SLOW_ROUNDS)),
  ];
}

async function measureRound(
  address: string,
  graphs: readonly Graph[],
  seed: number,
): Promise<Round> {
  const idle = await load(address, graphs, { callers: 1, durationMs: IDLE_MS });
  const rates: number[] = [];
  for (const callers of CALLERS)
    rates.push(
      rateOf(await load(address, graphs, { callers, durationMs: CAPACITY_MS }), 0, CAPACITY_MS),
    );
  const capacity = Math.max(...rates);
  const perSecond = TIMES * capacity;
  const over = await load(address, graphs, { perSecond, seed, durationMs: OVERLOAD_MS });
  const settled = over.doneMs.filter(([endMs]) => endMs > SETTLING_MS);
  return {
    capacity,
    idleP99Ms: quantile(latencies(idle.doneMs), 0.99),
    goodput: rateOf(over, SETTLING_MS, OVERLOAD_MS),
    p99Ms: quantile(latencies(settled), 0.99),
    wholeP99Ms: quantile(latencies(over.doneMs), 0.99),
    refusedShare: over.refused / over.sent,
    refusedP50Ms: median(over.refusedMs),
    failed: Object.values(over.failed).reduce((sum, count) => sum + count, 0),
  };
}

/** Runs that ended between two moments, each second. */
function rateOf({ doneMs }: LoadReport, fromMs: number, toMs: number): number {
  const done = doneMs.filter(([endMs]) => endMs > fromMs && endMs <= toMs).length;
  return done / ((toMs - fromMs) / 1000);
}

const latencies = (done: LoadReport['doneMs']): number[] => done.map(([, tookMs]) => tookMs);

function predictionGraph(name: number): Graph {
  const prediction = { client: CLIENT, name: `prediction-${String(name)}.json` };
  return graphOf(
    'overload',
    sequence(storage.read(PICTURE), cnn.predict({ model: 'shapes' }), storage.write(prediction)),
  );
}

async function upload(address: string): Promise<void> {
  const picture = await sharp(await paintShape(SHAPES[0], seededRandom(1), 512))
    .jpeg()
    .toBuffer();
  const dataCenter = new DataCenter({
    ...{ application: 'bench', applicationNodes: [address], credentials: { mode: 'open' } },
  });
  try {
    await dataCenter.files.write(PICTURE, picture);
  } finally {
    dataCenter.close();
  }
}
