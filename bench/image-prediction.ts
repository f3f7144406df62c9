import { randomUUID } from 'node:crypto';

import sharp from 'sharp';

import { predictStored } from '../applications/image-prediction.js';
import { DataCenter } from '../applications/sdk/data-center.js';
import { paintShape, SHAPES } from '../applications/sdk/painter.js';
import { seededRandom } from '../runtime/seeded-random.js';
import { SmallDataCenter } from './small-data-center.js';
import { finding, median, quantile } from './statistics.js';
import type { Finding } from './statistics.js';

const RUNS = 60;

/** image-prediction end to end, as its user sees it, as ring and as star; figures are of whole runs, reading back included. */
export async function measureImagePrediction(rounds: number): Promise<Finding[]> {
  await using center = await SmallDataCenter.start({
    'storage-1': 'storage',
    'cnn-1': 'cnn',
  });
  const random = seededRandom(1);
  const picture = await sharp(await paintShape(SHAPES[0], random, 512))
    .jpeg()
    .toBuffer();
  const arms = { ring: [] as number[][], star: [] as number[][] };
  for (let round = 0; round <= rounds; round++)
    for (const topology of ['ring', 'star'] as const) {
      const samples = await runsOf(center.address, topology, picture);
      // The first round warms both arms up.
      if (round > 0) arms[topology].push(samples);
    }
  const medians = { ring: arms.ring.map(median), star: arms.star.map(median) };
  const ratios = medians.ring.map((value, index) => value / (medians.star[index] ?? Number.NaN));
  return [
    finding('image_prediction_ring_vs_star', ['p50 as ring', 'p50 as star'], ratios, {
      ringP50Ms: median(medians.ring),
      ringP99Ms: quantile(arms.ring.flat(), 0.99),
      starP50Ms: median(medians.star),
      starP99Ms: quantile(arms.star.flat(), 0.99),
      pictureBytes: picture.length,
    }),
  ];
}

/** Milliseconds of each run: upload done before, prediction read back within. */
async function runsOf(
  address: string,
  topology: 'ring' | 'star',
  picture: Buffer,
): Promise<number[]> {
  const dataCenter = new DataCenter({
    application: 'bench',
    applicationNodes: [address],
    credentials: { mode: 'open' },
    topology,
  });
  try {
    const name = `${randomUUID()}.jpg`;
    await dataCenter.files.write({ client: 'bench', name }, picture);
    const samples: number[] = [];
    for (let run = 0; run < RUNS; run++) {
      const { run: finished } = await predictStored(
        dataCenter,
        { client: 'bench', name },
        'shapes',
      );
      samples.push(finished.elapsedMs);
    }
    return samples;
  } finally {
    dataCenter.close();
  }
}
