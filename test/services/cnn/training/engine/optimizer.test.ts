import { InferenceSession, Tensor } from 'onnxruntime-node';

import { TensorProto_DataType } from '../../../../../protos/gen/onnx/onnx.js';
import { GraphWriter } from '../../../../../services/cnn/onnx/graph-writer.js';
import { crossEntropy } from '../../../../../services/cnn/training/engine/layers/cross-entropy.js';
import { approach, descend } from '../../../../../services/cnn/training/engine/optimizer.js';
import { randomOf } from '../../../../../services/cnn/training/random.js';
import { assert, suite } from '../../../../suite.js';

type Numbers = Readonly<Record<string, readonly number[]>>;

suite('optimizer', (test) => {
  test('a step is that of Nesterov with weight decay on the first numbers only', async () => {
    const writer = new GraphWriter();
    for (const name of ['weights', 'momenta', 'gradient']) writer.input(name, [3]);
    writer.input('learningRate', []);
    const names = {
      weights: 'weights',
      momenta: 'momenta',
      gradient: 'gradient',
      learningRate: 'learningRate',
    };
    const options = { momentum: 0.5, weightDecay: 0.25, length: 3, decaying: 2 };
    const after = descend(writer, names, options);
    writer.output('newWeights', after.weights, [3]);
    writer.output('newMomenta', after.momenta, [3]);
    const { newWeights, newMomenta } = await run(writer, {
      weights: [4, 8, 8],
      momenta: [2, 0, 2],
      gradient: [1, 0, 1],
      learningRate: [0.5],
    });
    // Total gradient 1 + 4/4, 0 + 8/4, 1; momenta m/2 + g; weights w - rate * (g + m'/2).
    assert.equal(newMomenta, [3, 2, 2]);
    assert.equal(newWeights, [4 - 0.5 * 3.5, 8 - 0.5 * 3, 8 - 0.5 * 2]);
  });

  test('an average approaches by its share', async () => {
    const writer = new GraphWriter();
    for (const name of ['old', 'recent']) writer.input(name, [2]);
    writer.input('share', []);
    writer.output('average', approach(writer, 'old', 'recent', 'share'), [2]);
    const found = await run(writer, { old: [0, 4], recent: [8, 4], share: [0.25] });
    assert.equal(found['average'], [2, 4]);
  });
});

suite('cross-entropy', (test) => {
  for (const smoothing of [0, 0.3])
    test(`its gradient is that of its loss, smoothing ${String(smoothing)}`, async () => {
      const next = randomOf(3);
      const logits = Array.from({ length: 4 * 5 }, () => 4 * next() - 2);
      const middle = await entropyOf(logits, smoothing);
      for (const [index, slope] of (middle['gradient'] ?? []).entries()) {
        const at = async (step: number): Promise<number> => {
          const moved = logits.map((value, place) => value + (place === index ? step : 0));
          return (await entropyOf(moved, smoothing))['loss']?.[0] ?? Number.NaN;
        };
        const numeric = ((await at(0.01)) - (await at(-0.01))) / 0.02;
        assert.ok(Math.abs(numeric - slope) < 1e-4, `${String(numeric)}, ${String(slope)}`);
      }
    });

  test('equal logits cost ln(classes); right answers are counted', async () => {
    const even = await entropyOf(
      Array.from({ length: 20 }, () => 1),
      0.1,
    );
    assert.ok(Math.abs((even['loss']?.[0] ?? 0) - Math.log(5)) < 1e-5);
    const scores = LABELS.flatMap((label, row) =>
      Array.from({ length: 5 }, (_, place) => (place === label && row > 0 ? 9 : place / 10)),
    );
    assert.equal((await entropyOf(scores, 0.1))['correct'], [3]);
  });
});

const LABELS = [2, 0, 4, 1];

async function entropyOf(
  logits: readonly number[],
  smoothing: number,
): Promise<Record<string, number[]>> {
  const writer = new GraphWriter();
  writer.input('logits', [4, 5]);
  writer.input('labels', [4], TensorProto_DataType.INT64);
  const found = crossEntropy({ writer, batch: 4 }, 'logits', 'labels', { classes: 5, smoothing });
  writer.output('loss', found.loss, []);
  writer.output('correct', found.correct, []);
  writer.output('gradient', found.gradient, [4, 5]);
  const labels = new Tensor('int64', BigInt64Array.from(LABELS, BigInt), [4]);
  return runTensors(writer, { logits: new Tensor('float32', logits, [4, 5]), labels });
}

function run(writer: GraphWriter, inputs: Numbers): Promise<Record<string, number[]>> {
  const tensors = Object.entries(inputs).map(([name, values]): [string, Tensor] => [
    name,
    new Tensor('float32', values, values.length === 1 ? [] : [values.length]),
  ]);
  return runTensors(writer, Object.fromEntries(tensors));
}

async function runTensors(
  writer: GraphWriter,
  inputs: Record<string, Tensor>,
): Promise<Record<string, number[]>> {
  const session = await InferenceSession.create(writer.model({ name: 'test' }));
  const found = await session.run(inputs);
  await session.release();
  const entries = Object.entries(found).map(([name, { data }]): [string, number[]] => [
    name,
    [...(data as Float32Array)],
  ]);
  return Object.fromEntries(entries);
}
