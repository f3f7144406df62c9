import { status } from '@grpc/grpc-js';
import { createHash } from 'node:crypto';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import { ModelProto, TensorProto_DataType as Type } from '../../../protos/gen/onnx/onnx.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { Card } from '../../../services/cnn/card.js';
import type { NamedTensor } from '../../../services/cnn/tensors/tensor.js';
import { assert, rejects, suite } from '../../suite.js';
import { encoded, openCnn, temporaryFolder } from './fixture.js';
import { averagingCard, installModel } from './onnx-model.js';
import { node, picturesClassifier, squeezeNet, valueInfo } from './onnx/small-networks.js';

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** The sum and the difference of two rows of numbers; no card. */
function twoInputs(operator = 'Add'): Uint8Array {
  const model = ModelProto.fromPartial({
    irVersion: 8n,
    opsetImport: [{ domain: '', version: 13n }],
    graph: {
      name: 'two',
      node: [node(operator, ['left', 'right'], ['sum']), node('Sub', ['left', 'right'], ['rest'])],
      input: [valueInfo('left', Type.FLOAT, ['N', 3]), valueInfo('right', Type.FLOAT, ['N', 3])],
      output: [valueInfo('sum', Type.FLOAT, ['N', 3]), valueInfo('rest', Type.FLOAT, ['N', 3])],
    },
  });
  return ModelProto.encode(model).finish();
}

async function installBare(
  root: string,
  name: string,
  bytes: Uint8Array,
  version = 1,
): Promise<string> {
  const folder = path.join(root, name, String(version));
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'model.onnx'), bytes);
  return folder;
}

function floats(name: string, values: readonly number[], shape = [1, values.length]): NamedTensor {
  return {
    ...{ name, datatype: 'FP32', shape },
    data: new Uint8Array(Float32Array.from(values).buffer),
  };
}

function numbersOf(tensor: NamedTensor | undefined): number[] {
  return [...new Float32Array(Uint8Array.from(tensor?.data ?? []).buffer)];
}

const [left, right] = [floats('left', [1, 2, 3]), floats('right', [10, 20, 30])];

suite('tensors through a model without a card', (test) => {
  test('come out in the order that was asked for, all of them without a wish', async () => {
    await using folder = await temporaryFolder();
    await installBare(folder.path, 'two', twoInputs());
    await using cnn = await openCnn([folder.path], {}, 'two');
    const all = await cnn.infer({ inputs: [right, left], outputs: [] });
    assert.equal(
      all.outputs.map((one) => [one.name, one.datatype, one.shape, numbersOf(one)]),
      [
        ['sum', 'FP32', [1, 3], [11, 22, 33]],
        ['rest', 'FP32', [1, 3], [-9, -18, -27]],
      ],
    );
    const one = await cnn.infer({ inputs: [left, right], outputs: ['rest'] });
    assert.equal(
      one.outputs.map(({ name }) => name),
      ['rest'],
    );
    assert.is(one.version, 1);
  });

  test('may be NaN, infinite and several at a time', async () => {
    await using folder = await temporaryFolder();
    await installBare(folder.path, 'two', twoInputs());
    await using cnn = await openCnn([folder.path], {}, 'two');
    const inputs = [
      floats('left', [NaN, Infinity, 1, 2, 3, 4], [2, 3]),
      floats('right', [1, -Infinity, NaN, 0, 0, 0], [2, 3]),
    ];
    const { outputs } = await cnn.infer({ inputs, outputs: ['sum'] });
    assert.equal(outputs[0]?.shape, [2, 3]);
    assert.equal(numbersOf(outputs[0]), [NaN, NaN, NaN, 2, 3, 4]);
  });

  const wrong: readonly (readonly [string, readonly NamedTensor[], string[], RegExp])[] = [
    [
      'an unknown name',
      [left, { ...right, name: 'up' }],
      [],
      /^inputs\[up\]: .*it has: left, right$/,
    ],
    [
      'a missing input',
      [left],
      [],
      /^inputs\[right\]: is missing, the model takes FP32 of \[-1,3\]$/,
    ],
    ['an input given twice', [left, left, right], [], /^inputs\[left\]: is given twice$/],
    [
      'another datatype',
      [{ ...left, datatype: 'FP64' }, right],
      [],
      /^inputs\[left\]: is FP64, .*FP32$/,
    ],
    ['another rank', [{ ...left, shape: [3] }, right], [], /has the shape \[3\], .* \[-1,3\]$/],
    ['another size', [floats('left', [1, 2]), right], [], /has the shape \[1,2\], .* \[-1,3\]$/],
    ['too few bytes', [{ ...left, data: left.data.subarray(1) }, right], [], /12 bytes, found 11$/],
    [
      'ten thousand dimensions',
      [{ ...left, shape: Array.from({ length: 10_000 }, () => 1) }, right],
      [],
      /^inputs\[left\]: has 10000 dimensions, expected 64 at most$/,
    ],
    ['a batch of nothing', [floats('left', [], [0, 3]), right], [], /a batch of nothing$/],
    ['an unknown output', [left, right], ['sums'], /^outputs\[sums\]: .*it has: sum, rest$/],
  ];
  for (const [name, inputs, outputs, pattern] of wrong)
    test(`${name} is refused with the field, and the model serves on`, async () => {
      await using folder = await temporaryFolder();
      await installBare(folder.path, 'two', twoInputs());
      await using cnn = await openCnn([folder.path], {}, 'two');
      const error = await rejects(cnn.infer({ inputs, outputs }), FractoryError, {
        code: status.INVALID_ARGUMENT,
        reason: 'BAD_TENSOR',
      });
      assert.match(error.message, pattern);
      assert.ok(error.violations[0]?.field);
      await cnn.infer({ inputs: [left, right], outputs: [] });
    });

  test('are limited in size', async () => {
    await using folder = await temporaryFolder();
    await installBare(folder.path, 'two', twoInputs());
    await using cnn = await openCnn([folder.path], { max_tensor_bytes: 20 }, 'two');
    const error = await rejects(cnn.infer({ inputs: [left, right], outputs: [] }), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
    });
    assert.match(error.message, /is 24, the limit max_tensor_bytes is 20/);
  });

  test('are what it takes: pictures are refused with the way to a card', async () => {
    await using folder = await temporaryFolder();
    await installBare(folder.path, 'two', twoInputs());
    await using cnn = await openCnn([folder.path], {}, 'two');
    const error = await rejects(cnn.predict(encoded(await picture())), FractoryError, {
      code: status.FAILED_PRECONDITION,
      reason: 'NO_CARD',
    });
    assert.match(error.message, /model\.json/);
    const { signature, versions, card } = await cnn.describe('two');
    assert.equal([signature.inputs.length, versions, card], [2, [1], undefined]);
  });
});

suite('bad models beside good ones', (test) => {
  test('an operator that the runtime does not know is told in one line', async () => {
    await using folder = await temporaryFolder();
    await installBare(folder.path, 'odd', twoInputs('Frobnicate'));
    await installBare(folder.path, 'two', twoInputs());
    await using cnn = await openCnn([folder.path], {}, 'odd');
    const request = { inputs: [left, right], outputs: [] };
    const error = await rejects(cnn.infer(request), FractoryError, { reason: 'MODEL_CORRUPT' });
    assert.match(error.message, /Frobnicate/);
    assert.not.match(error.message, /\n/);
    assert.match(cnn.models().find(({ name }) => name === 'odd')?.state ?? '', /Frobnicate/);
    assert.not(cnn.isReady('odd'));
    await cnn.infer({ ...request, model: 'two' });
  });

  test('a model is swapped under load, for a good and then for a bad one, and nobody notices', async () => {
    await using folder = await temporaryFolder();
    const where = await installBare(folder.path, 'two', twoInputs());
    await using cnn = await openCnn([folder.path], {}, 'two');
    const swap = async (bytes: Uint8Array): Promise<void> => {
      const temporary = path.join(where, '.new');
      await writeFile(temporary, bytes);
      await rename(temporary, path.join(where, 'model.onnx'));
      await cnn.rescan();
    };
    const state = { isOver: false };
    const answers: number[] = [];
    const caller = async (): Promise<void> => {
      while (!state.isOver) {
        const { outputs } = await cnn.infer({ inputs: [left, right], outputs: ['sum'] });
        answers.push(numbersOf(outputs[0])[0] ?? NaN);
      }
    };
    const callers = [caller(), caller(), caller()];
    await swap(twoInputs('Mul'));
    await swap(twoInputs('Frobnicate'));
    await swap(Buffer.from('no model'));
    state.isOver = true;
    await Promise.all(callers);
    assert.ok(
      answers.every((one) => one === 11 || one === 10),
      String(answers.slice(0, 20)),
    );
    assert.is(answers.at(-1), 10);
    const { outputs } = await cnn.infer({ inputs: [left, right], outputs: ['sum'] });
    assert.equal(numbersOf(outputs[0]), [10, 40, 90]);
    assert.match(cnn.models()[0]?.state ?? '', /what was loaded before serves on$/);
  });

  test('unloading while requests run: those end, later ones are refused, memory is free', async () => {
    await using folder = await temporaryFolder();
    await installBare(folder.path, 'two', twoInputs());
    await using cnn = await openCnn([folder.path], {}, 'two');
    const request = { inputs: [left, right], outputs: [] };
    await cnn.infer(request);
    const running = Array.from({ length: 20 }, () => cnn.infer(request));
    await Promise.resolve();
    const unloading = cnn.unload('two');
    const ends = await Promise.allSettled(running);
    for (const end of ends)
      if (end.status === 'rejected')
        assert.is((end.reason as FractoryError).reason, 'MODEL_UNLOADED');
    await unloading;
    const [model] = cnn.models();
    assert.equal([model?.loaded, model?.memoryBytes, model?.state], [false, 0, 'unloaded']);
    await rejects(cnn.infer(request), FractoryError, { reason: 'MODEL_UNLOADED' });
    assert.is((await cnn.load('two')).loaded, true);
    await cnn.infer(request);
  });
});

suite('a picture as a vector', (test) => {
  for (const [last, length] of [
    ['Gemm', 8],
    ['Conv', 8],
  ] as const)
    test(`is what the layer before the last makes of it: ${last}`, async () => {
      await using folder = await temporaryFolder();
      const bytes = picturesClassifier({ last });
      await installModel(folder.path, classifierCard(bytes), bytes);
      await using cnn = await openCnn([folder.path], {}, 'classifier');
      const one = await cnn.embed(encoded(await picture()));
      assert.is(one.values.length, length);
      assert.ok(one.values.every((value) => Number.isFinite(value) && value >= 0));
      assert.equal((await cnn.embed(encoded(await picture()))).values, one.values);
      const other = await cnn.embed(encoded(await picture('#00f')));
      assert.not.equal(other.values, one.values);
      // The further output is no part of what the model says of itself.
      const { signature } = await cnn.describe('classifier');
      assert.equal(
        signature.outputs.map(({ name }) => name),
        ['probabilities'],
      );
      assert.is((await cnn.predict(encoded(await picture()))).labels.length, 5);
    });

  test('may be any tensor that the card names', async () => {
    await using folder = await temporaryFolder();
    const bytes = picturesClassifier({ last: 'Gemm' });
    const card = classifierCard(bytes);
    await installModel(folder.path, { ...card, embedding: { output: 'logits' } }, bytes);
    await using cnn = await openCnn([folder.path], {}, 'classifier');
    assert.is((await cnn.embed(encoded(await picture()))).values.length, 5);
  });

  test('is refused where the model has none', async () => {
    await using folder = await temporaryFolder();
    await installModel(folder.path, averagingCard('average'));
    await using cnn = await openCnn([folder.path], {}, 'average');
    await rejects(cnn.embed(encoded(await picture())), FractoryError, {
      code: status.FAILED_PRECONDITION,
      reason: 'NO_EMBEDDING',
    });
  });
});

suite('pictures that are decoded already', (test) => {
  test('give the same answer as their file, scaled where they have another size', async () => {
    await using folder = await temporaryFolder();
    await installModel(folder.path, averagingCard('average'));
    await using cnn = await openCnn([folder.path], {}, 'average');
    for (const [width, height] of [
      [8, 8],
      [16, 30],
    ] as const) {
      const pixels = Array.from({ length: width * height }, () => [255, 153, 51]).flat();
      const rgb = Uint8Array.from(pixels);
      const { labels, times } = await cnn.predict({ kind: 'pixels', width, height, rgb });
      const found = labels.map(({ probability }) => Math.round(probability * 10) / 10);
      assert.equal(found, [1, 0.6, 0.2]);
      assert.is(times.batch, 1);
      assert.ok(times.computeUs > 0);
    }
  });

  test('are refused where bytes and size disagree, or there are too many', async () => {
    await using folder = await temporaryFolder();
    await installModel(folder.path, averagingCard('average'));
    await using cnn = await openCnn([folder.path], { max_image_pixels: 100 }, 'average');
    const rgb = new Uint8Array(11);
    const few = { kind: 'pixels', width: 2, height: 2, rgb } as const;
    const error = await rejects(cnn.predict(few), FractoryError, { reason: 'BROKEN_IMAGE' });
    assert.match(error.message, /2x2 pixels of three bytes are 12, found 11/);
    const many = { kind: 'pixels', width: 20, height: 20, rgb: new Uint8Array(1200) } as const;
    await rejects(cnn.predict(many), FractoryError, { reason: 'IMAGE_TOO_LARGE' });
  });
});

suite('the card of an ImageNet classifier', (test) => {
  test('SqueezeNet of the model zoo works with the card that the README shows', async () => {
    await using folder = await temporaryFolder();
    const bytes = squeezeNet();
    const card: Card = {
      ...classifierCard(bytes, 'squeezenet'),
      input: {
        ...{ name: 'data_0', layout: 'NCHW', width: 224, height: 224, channels: 3 },
        ...{ colorOrder: 'RGB', scale: 255, resize: 'cover' },
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
      },
      output: { name: 'softmaxout_1', activation: 'none' },
      labels: Array.from({ length: 1000 }, (_, index) => `label ${String(index)}`),
      execution: { workers: 1, maxBatch: 1 },
    };
    await installModel(folder.path, card, bytes);
    await using cnn = await openCnn([folder.path], {}, 'squeezenet');
    const [model] = cnn.models();
    assert.equal([model?.state, model?.signature?.inputs.length], ['ready', 1]);
    const { labels } = await cnn.predict(encoded(await picture()), { topK: 1000 });
    const sum = labels.reduce((total, { probability }) => total + probability, 0);
    assert.equal([labels.length, Math.abs(sum - 1) < 1e-4], [1000, true]);
    // 512 channels by 8, their mean over 13 x 13 places.
    assert.is((await cnn.embed(encoded(await picture()))).values.length, 64);
  });

  test('that computes in FP16 can not embed, and goes on predicting after somebody asked it to', async () => {
    await using folder = await temporaryFolder();
    const bytes = halfPrecision();
    const card = averagingCard('half');
    await installModel(
      folder.path,
      { ...card, output: { name: 'sums', activation: 'none' }, sha256: sha256Of(bytes) },
      bytes,
    );
    await using cnn = await openCnn([folder.path], {}, 'half');
    await cnn.predict(encoded(await picture()));
    await rejects(cnn.embed(encoded(await picture())), FractoryError, {
      code: status.FAILED_PRECONDITION,
      reason: 'NO_EMBEDDING',
    });
    assert.is(cnn.models()[0]?.state, 'ready');
    assert.is((await cnn.predict(encoded(await picture()))).labels.length, 3);
  });
});

/** Averages of the channels, summed up in FP16: what the last layer sees is no FP32. */
function halfPrecision(): Uint8Array {
  const cast = (from: string, to: string, type: number) => node('Cast', [from], [to], { to: type });
  const ones = Uint8Array.from({ length: 18 }, (_, at) => (at % 2 === 0 ? 0x00 : 0x3c));
  const model = ModelProto.fromPartial({
    ...{ irVersion: 8n, opsetImport: [{ domain: '', version: 13n }] },
    graph: {
      name: 'half',
      node: [
        node('GlobalAveragePool', ['pixels'], ['pooled']),
        node('Flatten', ['pooled'], ['flat']),
        cast('flat', 'halves', Type.FLOAT16),
        node('MatMul', ['halves', 'ones'], ['half_sums']),
        cast('half_sums', 'sums', Type.FLOAT),
      ],
      initializer: [{ name: 'ones', dims: [3n, 3n], dataType: Type.FLOAT16, rawData: ones }],
      input: [valueInfo('pixels', Type.FLOAT, [1, 3, -1, -1])],
      output: [valueInfo('sums', Type.FLOAT, [1, 3])],
    },
  });
  return ModelProto.encode(model).finish();
}

function classifierCard(bytes: Uint8Array, name = 'classifier'): Card {
  const card = averagingCard(name);
  return {
    ...card,
    input: { ...card.input, name: 'data', width: 32, height: 32 },
    output: { name: 'probabilities', activation: 'none' },
    labels: ['a', 'b', 'c', 'd', 'e'],
    sha256: sha256Of(bytes),
  };
}

function picture(background = '#f93'): Promise<Buffer> {
  return sharp({ create: { width: 40, height: 40, channels: 3, background } })
    .png()
    .toBuffer();
}
