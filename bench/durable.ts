import { DataCenter } from '../applications/sdk/data-center.js';
import { math, repeat, sequence } from '../applications/sdk/index.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median, quantile } from './statistics.js';
import type { Finding } from './statistics.js';

const RUNS = 40;
const SIDE_BY_SIDE = 16;

/** What it costs that a run outlives its application node: one write before it is accepted, one before its end is told. */
export async function measureDurable(rounds: number): Promise<Finding[]> {
  await using center = await SmallDataCenter.start({ 'storage-1': 'storage', 'math-1': 'math' });
  const arms = { durable: [] as number[][], plain: [] as number[][] };
  const rates = { durable: [] as number[], plain: [] as number[] };
  for (let round = 0; round <= rounds; round++)
    for (const arm of ['plain', 'durable'] as const) {
      const { samples, perSecond } = await runsOf(center.address, arm === 'durable');
      // The first round warms both arms up.
      if (round === 0) continue;
      arms[arm].push(samples);
      rates[arm].push(perSecond);
    }
  const medians = { durable: arms.durable.map(median), plain: arms.plain.map(median) };
  const ratios = medians.durable.map((ms, index) => ms / (medians.plain[index] ?? Number.NaN));
  return [
    finding('durable_vs_plain_run', ['p50 of a durable run', 'of a plain one'], ratios, {
      durableP50Ms: median(medians.durable),
      durableP99Ms: quantile(arms.durable.flat(), 0.99),
      plainP50Ms: median(medians.plain),
      plainP99Ms: quantile(arms.plain.flat(), 0.99),
      durablePerSecond: median(rates.durable),
      plainPerSecond: median(rates.plain),
    }),
  ];
}

/** Milliseconds of each run, one after the other, as its client sees it; then runs a second, several at a time. */
async function runsOf(
  address: string,
  durable: boolean,
): Promise<{ readonly samples: number[]; readonly perSecond: number }> {
  const dataCenter = new DataCenter({
    ...{
      application: 'bench',
      applicationNodes: [address],
      credentials: { mode: 'open' },
      durable,
    },
  });
  const flow = sequence(math.add({ input: 1n, by: 1n }), repeat(7, math.add({ by: 1n })));
  try {
    const samples: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const startedAt = performance.now();
      await dataCenter.run(flow);
      samples.push(performance.now() - startedAt);
    }
    const startedAt = performance.now();
    let left = RUNS * 2;
    const caller = async (): Promise<void> => {
      while (left-- > 0) await dataCenter.run(flow);
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, caller));
    return { samples, perSecond: (RUNS * 2000) / (performance.now() - startedAt) };
  } finally {
    dataCenter.close();
  }
}
