import sharp from 'sharp';

import { bytesValue, integerValue, textValue, toPlain } from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { silentLogger } from '../../../runtime/logger.js';
import { cnnAdaptor } from '../../../services/cnn/adaptor.js';
import { assert, suite } from '../../suite.js';
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
    const { signal } = new AbortController();
    const context = { signal, budgetMs: 1000, step: undefined, log: silentLogger() };
    const result = toPlain(await predict!.perform(new Map(args), context)) as {
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
});
