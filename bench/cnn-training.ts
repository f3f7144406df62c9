import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { Batch } from '../services/cnn/training/engine/engine.js';
import { networkSpec } from '../services/cnn/training/engine/networks.js';
import { createTrainingEngine } from '../services/cnn/training/engine/training-engine.js';
import { finding, median } from './statistics.js';
import type { Finding } from './statistics.js';
import { Stepper } from './stepper.js';

const YARDSTICKS = path.resolve(fileURLToPath(import.meta.url), '../../../bench/yardsticks');
const BATCH = 128;
/** tfjs takes seconds for 128 pictures, and is no faster with more than these; it is measured at the smallest size only. */
const TFJS_BATCH = 32;
const THREADS = 2;
const SIZES = [64, 96];
/** Steps of an arm in a round; the median counts. */
const STEPS = 3;

/** A way to take a step, and how many pictures that is. */
interface Arm {
  readonly pictures: number;
  readonly step: () => Promise<number>;
}

/**
 * Pictures a second that the training engine learns from, over those of PyTorch and of tfjs with the same network, all on this machine's
 * processors. What isn't installed is left out: bench/yardsticks says how.
 */
export async function measureCnnTraining(rounds: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const size of SIZES) findings.push(...(await measureSize(size, rounds)));
  return findings;
}

async function measureSize(size: number, rounds: number): Promise<Finding[]> {
  await using engine = await createTrainingEngine({
    network: networkSpec('standard', 2),
    batch: BATCH,
    threads: THREADS,
    seed: 1,
    momentum: 0.9,
    weightDecay: 5e-4,
    labelSmoothing: 0.1,
    averaging: 0.998,
  });
  const script = (name: string): string => path.join(YARDSTICKS, name);
  const torchArgs = [script('training_step.py'), BATCH, size, THREADS].map(String);
  const tfjsArgs = [script('training-step.mjs'), TFJS_BATCH, size].map(String);
  await using torch = await Stepper.start('/usr/bin/python3', torchArgs);
  await using tfjs =
    size === SIZES[0] ? await Stepper.start(process.execPath, tfjsArgs) : undefined;

  const batch = noise(size);
  const arms = new Map<string, Arm>();
  const step = async (): Promise<number> => {
    const started = performance.now();
    await engine.step(batch, 0.01);
    return performance.now() - started;
  };
  arms.set('engine', { pictures: BATCH, step });
  if (torch) arms.set('torch', { pictures: BATCH, step: () => torch.step() });
  if (tfjs) arms.set('tfjs', { pictures: TFJS_BATCH, step: () => tfjs.step() });
  return findingsOf(size, await rates(arms, rounds));
}

/** Pictures a second of every arm in every round. */
async function rates(
  arms: ReadonlyMap<string, Arm>,
  rounds: number,
): Promise<ReadonlyMap<string, number[]>> {
  const found = new Map([...arms.keys()].map((name): [string, number[]] => [name, []]));
  for (let round = 0; round <= rounds; round += 1)
    for (const [name, { pictures, step }] of arms) {
      const samples: number[] = [];
      const steps = name === 'tfjs' ? 1 : STEPS;
      for (let index = 0; index < steps; index += 1) samples.push(await step());
      // The first round warms all arms up.
      if (round > 0) found.get(name)?.push((1000 * pictures) / median(samples));
    }
  return found;
}

function findingsOf(size: number, found: ReadonlyMap<string, number[]>): Finding[] {
  const engine = found.get('engine') ?? [];
  const against = (name: string, title: string, least: number): Finding[] => {
    const other = found.get(name);
    if (!other) return [];
    return [
      finding(
        `training_${String(size)}_px_vs_${name}`,
        ['pictures/s of the engine', `of ${title}`],
        engine.map((rate, round) => rate / (other[round] ?? Number.NaN)),
        { picturesPerSecond: median(engine), [`${name}PerSecond`]: median(other) },
        { least },
      ),
    ];
  };
  return [...against('torch', 'PyTorch', 0.7), ...against('tfjs', 'tfjs', 5)];
}

function noise(size: number): Batch {
  const pixels = Float32Array.from({ length: BATCH * 3 * size * size }, () => Math.random() - 0.5);
  return { pixels, labels: Int32Array.from({ length: BATCH }, (_, index) => index % 2), size };
}
