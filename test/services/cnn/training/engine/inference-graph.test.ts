import { InferenceSession, Tensor } from 'onnxruntime-node';

import { inferenceGraph } from '../../../../../services/cnn/training/engine/inference-graph.js';
import { EPSILON } from '../../../../../services/cnn/training/engine/layers/batch-norm.js';
import { architectureOf } from '../../../../../services/cnn/training/engine/networks.js';
import {
  parametersOf,
  sizeOf,
  statisticsOf,
} from '../../../../../services/cnn/training/engine/parameters.js';
import { randomOf } from '../../../../../services/cnn/training/random.js';
import { assert, suite } from '../../../../suite.js';

const SIZE = 8;
const FEATURES = 4;

/** A stem and a head, no block. */
const ARCHITECTURE = architectureOf({ name: 'stem', widths: [FEATURES], depths: [0], classes: 2 });

suite('inference graph', (test) => {
  test('a convolution with the batch norm folded in is the two one after the other', async () => {
    const next = randomOf(11);
    const values = new Map(
      [...parametersOf(ARCHITECTURE), ...statisticsOf(ARCHITECTURE)].map((part) => [
        part.name,
        Float32Array.from({ length: sizeOf(part) }, () => next() + 0.1),
      ]),
    );
    const get = (name: string): Float32Array => values.get(name) ?? new Float32Array();
    const picture = Float32Array.from({ length: 3 * SIZE * SIZE }, () => 2 * next() - 1);
    const session = await InferenceSession.create(
      inferenceGraph(ARCHITECTURE, get, { size: SIZE }),
    );
    const input = new Tensor('float32', picture, [1, 3, SIZE, SIZE]);
    const { logits } = await session.run({ input });
    await session.release();
    const expected = byHand(get, picture);
    for (const [index, value] of expected.entries())
      assert.ok(Math.abs(value - Number(logits?.data[index])) < 1e-4, String(logits?.data));
  });
});

/** Convolution, norm, ReLU, average and dense layer, as their definitions say. */
function byHand(get: (name: string) => Float32Array, picture: Float32Array): number[] {
  const pooled = Array.from({ length: FEATURES }, (_, output) => {
    let sum = 0;
    for (let y = 0; y < SIZE; y += 2)
      for (let x = 0; x < SIZE; x += 2) {
        const { scale, shift, mean, variance } = normOf(get, output);
        const value = convolved(get('stem.filters'), picture, { output, y, x });
        sum += Math.max(0, ((value - mean) / Math.sqrt(variance + EPSILON)) * scale + shift);
      }
    return sum / (SIZE / 2) ** 2;
  });
  const [weight, bias] = [get('head.weight'), get('head.bias')];
  return [0, 1].map((label) =>
    pooled.reduce(
      (sum, value, at) => sum + value * (weight[2 * at + label] ?? 0),
      bias[label] ?? 0,
    ),
  );
}

function normOf(
  get: (name: string) => Float32Array,
  channel: number,
): Record<'scale' | 'shift' | 'mean' | 'variance', number> {
  const at = (part: string): number => get(`stem.${part}`)[channel] ?? Number.NaN;
  return { scale: at('scale'), shift: at('shift'), mean: at('mean'), variance: at('variance') };
}

function convolved(
  filter: Float32Array,
  picture: Float32Array,
  { output, y, x }: { output: number; y: number; x: number },
): number {
  let sum = 0;
  for (let tap = 0; tap < 25; tap += 1) {
    const row = y + Math.floor(tap / 5) - 2;
    const column = x + (tap % 5) - 2;
    if (row < 0 || column < 0 || row >= SIZE || column >= SIZE) continue;
    for (let input = 0; input < 3; input += 1)
      sum +=
        (filter[(tap * FEATURES + output) * 3 + input] ?? 0) *
        (picture[(input * SIZE + row) * SIZE + column] ?? 0);
  }
  return sum;
}
