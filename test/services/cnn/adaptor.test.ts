import sharp from 'sharp';

import { bytesValue, integerValue, textValue, toPlain } from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { InvocationContext, Operation, OperationResult } from '../../../services/adaptor.js';
import { cnnAdaptor } from '../../../services/cnn/adaptor.js';
import type { CnnService } from '../../../services/cnn/service.js';
import { KeptResult } from '../../../services/content.js';
import { assert, rejects, suite } from '../../suite.js';
import { openCnn, temporaryFolder } from './fixture.js';
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
