import { status } from '@grpc/grpc-js';
import sharp from 'sharp';

import { paintShape } from '../../../applications/sdk/painter.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { elementCount, numbersOf, tensorOf } from '../../../protos/tensors.js';
import {
  bytesValue,
  integerValue,
  listValue,
  tensorValue,
  textValue,
  toPlain,
} from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { InvocationContext, Operation, OperationResult } from '../../../services/adaptor.js';
import { cnnAdaptor } from '../../../services/cnn/adaptor.js';
import type { CnnService } from '../../../services/cnn/service.js';
import { KeptResult } from '../../../services/content.js';
import { cosine } from '../../../services/math/cosine.js';
import { assert, rejects, suite } from '../../suite.js';
import { openCnn, shippedModels, temporaryFolder } from './fixture.js';
import { averagingCard, installModel } from './onnx-model.js';

suite('operations of a CNN node', (test) => {
  test('cnn.predict answers with JSON: the best label, the next ones, model and version', async () => {
    await using folder = await temporaryFolder();
    await installModel(folder.path, averagingCard('average'));
    await using cnn = await openCnn([folder.path], {}, 'other');
    const [predict] = cnnAdaptor(cnn).operations;
    const background = { r: 51, g: 255, b: 0 };
    const picture = await sharp({ create: { width: 9, height: 9, channels: 3, background } })
      .png()
      .toBuffer();
    const args: [string, Value][] = [
      ['input', bytesValue('image/png', picture)],
      ['model', textValue('average')],
      ['version', integerValue(1n)],
      ['top_k', integerValue(2n)],
    ];
    const result = plainOf(await predict!.perform(new Map(args), context())) as {
      probability: number;
      top: { label: string; probability: number }[];
    };
    const [first, second] = result.top;
    assert.ok(Math.abs((second?.probability ?? 0) - 0.2) < 0.001);
    assert.equal(result, {
      label: 'second',
      probability: first?.probability,
      top: [
        { label: 'second', probability: first?.probability },
        { label: 'first', probability: second?.probability },
      ],
      model: 'average',
      version: 1,
    });
  });

  test('cnn.embed yields the picture as a vector, cnn.infer what a model makes of tensors', async () => {
    await using cnn = await openCnn([shippedModels]);
    const model = textValue('shapes');
    const perform = async (name: string, args: Record<string, Value>): Promise<Value> => {
      const operation = cnnAdaptor(cnn).operations.find(({ spec }) => spec.name === name);
      return (await operation!.perform(new Map(Object.entries(args)), context())) as Value;
    };
    const [star, circle] = [
      await paintShape('star', seededRandom(1)),
      await paintShape('circle', seededRandom(2)),
    ];
    const vectorOf = async (picture: Uint8Array): Promise<Float64Array> => {
      const { kind } = await perform('cnn.embed', {
        input: bytesValue('image/png', picture),
        model,
      });
      if (kind?.$case !== 'tensor') throw new Error('an embedding is a tensor');
      const { datatype, shape } = kind.value;
      assert.equal([datatype, shape.length], ['FP32', 1]);
      return numbersOf(kind.value);
    };
    const [one, again, other] = [
      await vectorOf(star),
      await vectorOf(star),
      await vectorOf(circle),
    ];
    assert.equal(one, again);
    assert.ok((await cosine(one, other)) < 0.999);

    const { signature } = await cnn.describe('shapes');
    const [spec] = signature.inputs;
    const sizes = spec!.shape.map((size) => Math.max(1, size));
    const numbers = new Float32Array(elementCount(sizes)).fill(0.25);
    const input = tensorValue(tensorOf('FP32', sizes, numbers));
    const logits = await perform('cnn.infer', { input, model });
    assert.is(logits.kind?.$case, 'tensor');
    assert.is(logits.kind?.$case === 'tensor' && numbersOf(logits.kind.value).length, 4);
    const named = { input: listValue([input]), inputs: listValue([textValue(spec!.name)]) };
    assert.equal(await perform('cnn.infer', { ...named, model }), logits);
    const outputs = textValue('no-such-output');
    await rejects(perform('cnn.infer', { input, model, outputs }), FractoryError, {
      code: status.INVALID_ARGUMENT,
    });
  });

  for (const format of ['png', 'jpeg'] as const)
    test(`cnn.inspect tells what a ${format} is, also where other bytes follow its end`, async () => {
      await using cnn = await openCnn([]);
      const background = { r: 51, g: 255, b: 0 };
      const blank = sharp({ create: { width: 9, height: 7, channels: 3, background } });
      const picture = await blank.toFormat(format).toBuffer();
      for (const rest of [0, 100_000]) {
        const input = bytesValue(
          `image/${format}`,
          Buffer.concat([picture, Buffer.alloc(rest, 7)]),
        );
        const result = await inspect(cnn).perform(new Map([['input', input]]), context());
        assert.equal(plainOf(result), {
          ...{ format, width: 9, height: 7 },
          bytes: picture.length + rest,
        });
      }
    });

  test('cnn.inspect refuses what is no picture and what is above the limits', async () => {
    await using cnn = await openCnn([], { max_image_bytes: 1000 });
    const cases = [
      ['text', 'UNSUPPORTED_IMAGE'],
      ['', 'BROKEN_IMAGE'],
      ['\xff\xd8\xff', 'BROKEN_IMAGE'],
      ['x'.repeat(1001), 'IMAGE_TOO_LARGE'],
    ] as const;
    for (const [text, reason] of cases) {
      const input = bytesValue('image/png', Buffer.from(text, 'latin1'));
      const work = async (): Promise<unknown> =>
        inspect(cnn).perform(new Map([['input', input]]), context());
      await rejects(work(), FractoryError, { reason });
    }
  });
});

function inspect(cnn: CnnService): Operation {
  return cnnAdaptor(cnn).operations.find(({ spec }) => spec.name === 'cnn.inspect')!;
}

function context(): InvocationContext {
  const { signal } = new AbortController();
  return {
    ...{ signal, budgetMs: 1000, step: undefined, log: silentLogger() },
    stream: () => {
      throw new Error('a picture comes along');
    },
  };
}

function plainOf(result: OperationResult): unknown {
  assert.not.instance(result, KeptResult);
  return toPlain(result as Value);
}
