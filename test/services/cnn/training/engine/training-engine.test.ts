import { InferenceSession, Tensor } from 'onnxruntime-node';

import { FractoryError } from '../../../../../runtime/errors.js';
import type {
  Batch,
  EngineOptions,
  EngineState,
} from '../../../../../services/cnn/training/engine/engine.js';
import { networkSpec } from '../../../../../services/cnn/training/engine/networks.js';
import { plainKernels } from '../../../../../services/cnn/training/engine/plain-kernels.js';
import { randomOf } from '../../../../../services/cnn/training/random.js';
import { createTrainingEngine } from '../../../../../services/cnn/training/engine/training-engine.js';
import { assert, rejects, suite, throws } from '../../../../suite.js';

const OPTIONS: EngineOptions = {
  network: { name: 'tiny', widths: [16, 32], depths: [1, 1], classes: 3 },
  batch: 12,
  threads: 1,
  seed: 5,
  momentum: 0.9,
  weightDecay: 5e-4,
  labelSmoothing: 0.1,
  averaging: 0.9,
};

/** Noise in which one of the three colours is brighter: that is the class. */
function colours(count: number, size: number, seed: number): Batch {
  const next = randomOf(seed);
  const labels = Int32Array.from({ length: count }, (_, index) => index % 3);
  const plane = size * size;
  const pixels = Float32Array.from({ length: count * 3 * plane }, (_, index) => {
    const isBright = Math.floor(index / plane) % 3 === labels[Math.floor(index / (3 * plane))];
    return 2 * next() - 1 + (isBright ? 0.3 : 0);
  });
  return { pixels, labels, size };
}

suite('training engine', (test) => {
  test('it learns; the exported network answers alike for pictures it has not seen', async () => {
    await using engine = await createTrainingEngine(OPTIONS);
    const losses: number[] = [];
    for (let step = 0; step < 40; step += 1)
      losses.push((await engine.step(colours(12, 16, step), 0.05)).loss);
    assert.ok((losses[0] ?? 0) > 0.9 && (losses.at(-1) ?? 9) < 0.6, losses.join(' '));

    const { pixels, labels } = colours(30, 16, 1000);
    const logits = await answer(engine.export(16), pixels, 30, 16);
    const right = labels.filter((label, row) => {
      const scores = logits.subarray(3 * row, 3 * row + 3);
      return scores.indexOf(Math.max(...scores)) === label;
    });
    assert.ok(right.length >= 28, `${String(right.length)} of 30 right`);
  });

  test('equal seeds give equal weights, to the bit; another seed gives others', async () => {
    const first = await stateAfterSteps(OPTIONS);
    const second = await stateAfterSteps(OPTIONS);
    assert.ok(isEqual(first, second), 'the states are equal');
    assert.not.ok(isEqual(first, await stateAfterSteps({ ...OPTIONS, seed: 6 })));
  });

  test('so do two threads', async () => {
    const options = { ...OPTIONS, threads: 2 };
    assert.ok(isEqual(await stateAfterSteps(options), await stateAfterSteps(options)));
  });

  test('plain kernels compute what the fastest do, but for rounding', async () => {
    const fast = await stateAfterSteps(OPTIONS);
    const plain = await stateAfterSteps(OPTIONS, { kernels: plainKernels });
    for (const [name, values] of fast) {
      const other = plain.get(name) ?? new Float32Array();
      const worst = Math.max(
        ...values.map((value, index) => Math.abs(value - (other[index] ?? 9))),
      );
      assert.ok(worst < 2e-3, `${name}: ${String(worst)}`);
    }
  });

  test('a restored engine goes on as if it had never stopped', async () => {
    await using whole = await createTrainingEngine(OPTIONS);
    await using begun = await createTrainingEngine(OPTIONS);
    await using resumed = await createTrainingEngine({ ...OPTIONS, seed: 99 });
    for (let step = 0; step < 4; step += 1) await whole.step(colours(12, 16, step), 0.05);
    for (let step = 0; step < 2; step += 1) await begun.step(colours(12, 16, step), 0.05);
    resumed.restore(begun.state());
    for (let step = 2; step < 4; step += 1) await resumed.step(colours(12, 16, step), 0.05);
    assert.ok(isEqual(whole.state(), resumed.state()));
  });

  test('a state is a copy', async () => {
    await using engine = await createTrainingEngine(OPTIONS);
    const before = engine.state();
    const copied = new Map([...before].map(([name, values]) => [name, values.slice()]));
    await engine.step(colours(12, 16, 0), 0.05);
    assert.ok(isEqual(before, copied));
  });

  test('a state of another network is refused and changes nothing', async () => {
    await using engine = await createTrainingEngine(OPTIONS);
    const before = engine.state();
    const strange = new Map(before).set('weights/head.bias', new Float32Array(4));
    throws(
      () => {
        engine.restore(strange);
      },
      FractoryError,
      {
        reason: 'WRONG_STATE',
        message: 'state of a training: weights/head.bias has 4 numbers, the network has 3',
      },
    );
    assert.ok(isEqual(before, engine.state()));
  });

  test('steps may differ in the size of pictures', async () => {
    await using engine = await createTrainingEngine(OPTIONS);
    for (const size of [16, 24, 16]) {
      const { loss, correct } = await engine.step(colours(12, size, size), 0.05);
      assert.ok(Number.isFinite(loss) && correct >= 0 && correct <= 12);
    }
  });

  test('batches that do not fit are refused by name and number', async () => {
    await using engine = await createTrainingEngine(OPTIONS);
    const good = colours(12, 16, 0);
    const bad: [Batch, string][] = [
      [{ ...good, size: 18 }, 'pictures are 18 pixels wide, network tiny takes multiples of 4'],
      [colours(9, 16, 0), 'the batch has 9 labels, the engine takes 12'],
      [{ ...good, size: 20 }, 'the batch has 9216 numbers, 12 pictures have 14400'],
    ];
    for (const [batch, message] of bad)
      await rejects(engine.step(batch, 0.1), FractoryError, { message });
  });

  test('a network that cannot be built is refused', async () => {
    const bad: [Partial<EngineOptions['network']>, string][] = [
      [{ depths: [1] }, 'network tiny has 2 widths and 1 depths'],
      [{ widths: [16, 0] }, 'network tiny has widths 16, 0 and depths 1, 1, they are at least 1'],
      [{ classes: 1 }, 'network tiny has 1 classes, it takes 2'],
    ];
    for (const [change, message] of bad) {
      const network = { ...OPTIONS.network, ...change };
      await rejects(createTrainingEngine({ ...OPTIONS, network }), FractoryError, { message });
    }
  });

  test('the exported file takes batches of any length and yields the embedding if asked', async () => {
    await using engine = await createTrainingEngine(OPTIONS);
    await engine.step(colours(12, 16, 0), 0.05);
    const file = engine.export(32, { embedding: true });
    const session = await InferenceSession.create(file);
    const { pixels } = colours(5, 32, 3);
    const input = new Tensor('float32', pixels, [5, 3, 32, 32]);
    const { logits, embedding } = await session.run({ input });
    assert.equal(logits?.dims, [5, 3]);
    assert.equal(embedding?.dims, [5, 32]);
    await session.release();
  });

  test('the house networks have the weights they say', async () => {
    await using small = await createTrainingEngine({
      ...OPTIONS,
      network: networkSpec('small', 3),
    });
    await using standard = await createTrainingEngine({
      ...OPTIONS,
      network: networkSpec('standard', 2),
    });
    assert.is(small.weightCount, 78_355);
    assert.is(standard.weightCount, 975_106);
    assert.ok(standard.export(112).length < 4e6);
  });
});

async function stateAfterSteps(
  options: EngineOptions,
  parts: Parameters<typeof createTrainingEngine>[1] = {},
): Promise<EngineState> {
  await using engine = await createTrainingEngine(options, parts);
  for (let step = 0; step < 3; step += 1) await engine.step(colours(12, 16, step), 0.05);
  return engine.state();
}

function isEqual(first: EngineState, second: EngineState): boolean {
  const names = [...first.keys()];
  return (
    names.length === second.size &&
    names.every((name) => {
      const [a, b] = [first.get(name), second.get(name)];
      return a !== undefined && b?.length === a.length && a.every((value, at) => value === b[at]);
    })
  );
}

async function answer(
  file: Uint8Array,
  pixels: Float32Array,
  count: number,
  size: number,
): Promise<Float32Array> {
  const session = await InferenceSession.create(file);
  const input = new Tensor('float32', pixels, [count, 3, size, size]);
  const { logits } = await session.run({ input });
  await session.release();
  return logits?.data as Float32Array;
}
