import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';

import sharp from 'sharp';

import { paintShape, SHAPES } from '../../applications/sdk/painter.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import { assert } from '../suite.js';
import { checkout } from './live-data-center.js';
import { base64 } from './wire.js';
import type { Claims } from './wire.js';

interface Prediction {
  readonly labels: readonly { readonly label: string; readonly probability: number }[];
  readonly model: string;
  readonly version: number;
}

const timeoutMs = 60_000;

const garbage = Buffer.from('this is no model');
const shapesCard = JSON.parse(
  readFileSync(path.join(checkout, 'services/cnn/models/shapes/1/model.json'), 'utf8'),
) as Record<string, unknown>;

/** Files below a folder of models: one that is no model, one that isn't what its card says. */
export const corruptModel: Readonly<Record<string, Buffer | string>> = {
  'garbage/1/model.onnx': garbage,
  'garbage/1/model.json': JSON.stringify({
    ...shapesCard,
    name: 'garbage',
    sha256: createHash('sha256').update(garbage).digest('hex'),
  }),
  'altered/1/model.onnx': garbage,
  'altered/1/model.json': JSON.stringify({ ...shapesCard, name: 'altered' }),
};

export const cnnClaims: Claims = (test, wire) => {
  test(
    'gets the class of a picture that it sends',
    async () => {
      const cnn = await wire.at('cnn');
      const random = seededRandom(42);
      for (const shape of SHAPES) {
        const image = base64(await paintShape(shape, random));
        const request = { image, model: 'shapes', topK: 2 };
        const { labels, model, version } = await cnn.call<Prediction>(
          'CnnService/Predict',
          request,
        );
        assert.equal([labels[0]?.label, labels.length, model, version], [shape, 2, 'shapes', 1]);
        assert.ok((labels[0]?.probability ?? 0) >= (labels[1]?.probability ?? 1));
      }
    },
    { timeoutMs },
  );

  test(
    'gets the class of a picture in storage',
    async () => {
      const [cnn, storage] = [await wire.at('cnn'), await wire.at('storage')];
      const stored = { client: 'gallery', name: 'square.png' };
      const chunk = base64(await paintShape('square', seededRandom(3)));
      await storage.call('StorageService/Put', { header: stored }, { chunk });
      const request = { stored, model: 'shapes' };
      const { labels } = await cnn.call<Prediction>('CnnService/Predict', request);
      assert.is(labels[0]?.label, 'square');
      const missing = await cnn.failure('CnnService/Predict', {
        stored: { client: 'gallery', name: 'none.png' },
      });
      assert.equal([missing.code, missing.reason], ['not_found', 'FILE_NOT_FOUND']);
    },
    { timeoutMs },
  );

  test(
    'sees which models there are, and which can not be used',
    async () => {
      const cnn = await wire.at('cnn');
      const { models } = await cnn.call<{
        models: { name: string; state: string; labels?: string[]; accuracy?: number }[];
      }>('CnnService/ListModels', {});
      const state = Object.fromEntries(models.map((model) => [model.name, model.state]));
      assert.equal(Object.keys(state).sort(), [
        'altered',
        'cats-vs-dogs',
        'cats-vs-dogs-small',
        'garbage',
        'shapes',
      ]);
      assert.equal([state['cats-vs-dogs'], state['shapes']], ['ready', 'ready']);
      assert.match(state['altered'] ?? '', /SHA-256/);
      assert.is.not(state['garbage'], 'ready');
      const cats = models.find(({ name }) => name === 'cats-vs-dogs');
      assert.equal(cats?.labels, ['cat', 'dog']);
      assert.ok((cats?.accuracy ?? 0) > 0.9);
    },
    { timeoutMs },
  );

  test(
    'is told of pictures and models that can not be used, and the node lives on',
    async () => {
      const cnn = await wire.at('cnn');
      const good = await paintShape('circle', seededRandom(1));
      const bomb = await sharp({
        limitInputPixels: false,
        create: { width: 12_500, height: 8000, channels: 3, background: '#fff' },
      })
        .png({ compressionLevel: 9 })
        .toBuffer();
      assert.ok(bomb.length < 2 * 1024 ** 2, `${String(bomb.length)} bytes`);
      const image = base64(good);
      const rows: readonly (readonly [object, string, string])[] = [
        [{ image: base64(good.subarray(0, good.length / 2)) }, 'invalid_argument', 'BROKEN_IMAGE'],
        [{ image: base64(bomb) }, 'resource_exhausted', 'IMAGE_TOO_LARGE'],
        [{ image: base64('no picture') }, 'invalid_argument', 'UNSUPPORTED_IMAGE'],
        [
          { image: base64('<svg xmlns="http://www.w3.org/2000/svg"/>') },
          'invalid_argument',
          'UNSUPPORTED_IMAGE',
        ],
        [{ image, model: 'shape' }, 'not_found', 'MODEL_NOT_FOUND'],
        [{ image, model: 'shapes', version: 9 }, 'not_found', 'MODEL_NOT_FOUND'],
        [{ image, model: '../shapes' }, 'invalid_argument', 'BAD_NAME'],
        [{ image, model: 'garbage' }, 'failed_precondition', 'MODEL_CORRUPT'],
        [{ image, model: 'altered' }, 'failed_precondition', 'MODEL_CORRUPT'],
        [{}, 'invalid_argument', 'INVALID_ARGUMENT'],
      ];
      for (const [request, code, reason] of rows) {
        const error = await cnn.failure('CnnService/Predict', { model: 'shapes', ...request });
        assert.equal([error.code, error.reason], [code, reason], error.message);
        assert.not.match(error.message, /\n/);
      }
      const unknown = await cnn.failure('CnnService/Predict', { image, model: 'shape' });
      assert.match(unknown.message, /did you mean shapes\?/);
      const { labels } = await cnn.call<Prediction>('CnnService/Predict', {
        image,
        model: 'shapes',
      });
      assert.is(labels[0]?.label, 'circle');
    },
    { timeoutMs },
  );
};
