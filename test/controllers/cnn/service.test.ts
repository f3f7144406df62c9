import { Metadata, status } from '@grpc/grpc-js';
import { Readable } from 'node:stream';

import sharp from 'sharp';

import { cnnTypedService } from '../../../controllers/cnn/service.js';
import { fetchStoredImage } from '../../../controllers/cnn/stored-image.js';
import { settings } from '../../../controllers/cnn/settings.js';
import type { CallContext } from '../../../controllers/kernel/calls.js';
import type { Peers } from '../../../controllers/kernel/device.js';
import { paintShape } from '../../../applications/sdk/painter.js';
import type {
  EmbedResponse,
  ListModelsResponse,
  LoadModelResponse,
  PredictResponse,
} from '../../../protos/gen/fractory/v1/cnn.js';
import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { DEFAULT_CNN_LIMITS } from '../../../services/cnn/limits.js';
import type { CnnService } from '../../../services/cnn/service.js';
import { DEFAULT_TRAINING_LIMITS } from '../../../services/cnn/training/limits.js';
import { assert, rejects, suite } from '../../suite.js';
import { openCnn, shippedModels, temporaryFolder } from '../../services/cnn/fixture.js';
import { averagingCard, installModel } from '../../services/cnn/onnx-model.js';

const call: CallContext = {
  signal: new AbortController().signal,
  budgetMs: 10_000,
  metadata: new Metadata(),
  peer: 'test',
  log: silentLogger(),
};

/** Storage with one file, `admin/star.png`, that says `sizeBytes` of itself. */
function storage(content: Uint8Array, sizeBytes = content.length): Peers {
  const get = (): Readable =>
    Object.assign(
      Readable.from([
        { part: { $case: 'file', value: { sizeBytes: BigInt(sizeBytes) } } },
        ...[content.subarray(0, 500), content.subarray(500)].map((value) => ({
          part: { $case: 'chunk', value },
        })),
      ]),
      { cancel: () => undefined },
    );
  return {
    call: (_type, _client, work, signal) => work({ get, close: () => undefined } as never, signal),
  };
}

function handle(cnn: CnnService, method: string, request: unknown, peers: Peers): Promise<unknown> {
  const handler = cnnTypedService(cnn, peers).handlers[method];
  if (handler?.kind !== 'unary') throw new Error(`${method} is not unary`);
  return Promise.resolve().then(() => handler.handle(request, call) as unknown);
}

const predict = { model: 'shapes', version: 0, topK: 0 };

suite('fractory.v1.CnnService', (test) => {
  test('Predict takes the picture itself or one in storage', async () => {
    await using cnn = await openCnn([shippedModels]);
    const picture = await paintShape('star');
    const inline = { ...predict, source: { $case: 'image', value: picture } };
    const stored = {
      ...predict,
      source: { $case: 'stored', value: { client: 'admin', name: 'star.png' } },
    };
    const one = (await handle(cnn, 'predict', inline, storage(picture))) as PredictResponse;
    const two = (await handle(cnn, 'predict', stored, storage(picture))) as PredictResponse;
    assert.is(one.labels[0]?.label, 'star');
    assert.is(one.labels.length, 4);
    assert.equal({ ...two, times: undefined }, { ...one, times: undefined });
    assert.ok((one.times?.computeUs ?? 0n) > 0n);
    assert.is(one.times?.batch, 1);
  });

  test('a stored picture that is too large is refused, whether it says so or not', async () => {
    await using cnn = await openCnn([shippedModels], { max_image_bytes: 1000 });
    const source = { $case: 'stored', value: { client: 'admin', name: 'star.png' } };
    for (const peers of [storage(Buffer.alloc(10), 5000), storage(Buffer.alloc(5000), 10)])
      await rejects(handle(cnn, 'predict', { ...predict, source }, peers), FractoryError, {
        reason: 'IMAGE_TOO_LARGE',
      });
  });

  test('room is held for a stored picture before it comes, by what it says and what it is', async () => {
    const { signal } = call;
    const options = { client: 'admin', name: 'star.png', maxBytes: 10_000, signal };
    const heldFor = async (peers: Peers): Promise<number[]> => {
      const held: number[] = [];
      await fetchStoredImage(peers, { ...options, hold: (bytes) => held.push(bytes) });
      return held;
    };
    assert.equal(await heldFor(storage(Buffer.alloc(900))), [900]);
    assert.equal(await heldFor(storage(Buffer.alloc(900), 100)), [100, 400, 400]);
    const hold = (): never => {
      throw new FractoryError(status.RESOURCE_EXHAUSTED, 'QUEUE_FULL', 'no room');
    };
    const refused = fetchStoredImage(storage(Buffer.alloc(900)), { ...options, hold });
    await rejects(refused, FractoryError, { reason: 'QUEUE_FULL' });
  });

  test('a call without a picture, and a bad name, are refused', async () => {
    await using cnn = await openCnn([shippedModels]);
    const peers = storage(Buffer.alloc(0));
    await rejects(handle(cnn, 'predict', predict, peers), FractoryError, {
      code: status.INVALID_ARGUMENT,
    });
    const source = { $case: 'stored', value: { client: '../admin', name: 'a' } };
    await rejects(handle(cnn, 'predict', { ...predict, source }, peers), FractoryError, {
      reason: 'BAD_NAME',
    });
  });

  test('Predict takes pixels, and Embed yields a tensor', async () => {
    await using cnn = await openCnn([shippedModels]);
    const picture = await paintShape('star');
    const { data, info } = await sharp(picture)
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true });
    const value = { width: info.width, height: info.height, rgb: data };
    const request = { ...predict, source: { $case: 'pixels', value } };
    const peers = storage(picture);
    const { labels } = (await handle(cnn, 'predict', request, peers)) as PredictResponse;
    assert.is(labels[0]?.label, 'star');
    const one = (await handle(cnn, 'embed', request, peers)) as EmbedResponse;
    const { embedding, model, version } = one;
    assert.equal([embedding?.datatype, model, version], ['FP32', 'shapes', 1]);
    assert.is(embedding?.data.length, 4 * Number(embedding?.shape[0]));
    const image = { ...predict, source: { $case: 'image', value: picture } };
    const other = (await handle(cnn, 'embed', image, peers)) as EmbedResponse;
    assert.equal(other.embedding?.shape, embedding?.shape);
  });

  test('models are unloaded, loaded and pinned by hand, and told as they are', async () => {
    await using folder = await temporaryFolder();
    for (const version of [1, 2])
      await installModel(folder.path, { ...averagingCard('average'), version });
    await using cnn = await openCnn([folder.path], {}, 'average');
    const peers = storage(Buffer.alloc(0));
    const told = async (): Promise<unknown[]> => {
      const { models } = (await handle(cnn, 'listModels', {}, peers)) as ListModelsResponse;
      return models.map((one) => [
        ...[one.version, one.state, one.loaded, one.servesByDefault, one.pinned],
        one.memoryBytes > 0n,
      ]);
    };
    assert.equal(await told(), [
      [2, 'ready', true, true, false, true],
      [1, 'ready', false, false, false, false],
    ]);
    await handle(cnn, 'pinModel', { model: 'average', version: 1 }, peers);
    await handle(cnn, 'unloadModel', { model: 'average', version: 2 }, peers);
    assert.equal(await told(), [
      [2, 'unloaded', false, false, false, false],
      [1, 'ready', true, true, true, true],
    ]);
    const request = { model: 'average', version: 2 };
    const { model } = (await handle(cnn, 'loadModel', request, peers)) as LoadModelResponse;
    assert.equal([model?.loaded, model?.version, model?.servesByDefault], [true, 2, false]);
    assert.is(model?.arrangement?.workers, 1);
    assert.equal(
      model?.inputs.map(({ name, datatype, shape }) => [name, datatype, shape]),
      [['pixels', 'FP32', [1n, 3n, -1n, -1n]]],
    );
    assert.equal(model?.sha256, averagingCard('average').sha256);
    for (const method of ['loadModel', 'unloadModel', 'pinModel']) {
      await rejects(handle(cnn, method, { model: '', version: 0 }, peers), FractoryError, {
        reason: 'BAD_NAME',
      });
      await rejects(handle(cnn, method, { model: 'averag', version: 1 }, peers), FractoryError, {
        reason: 'MODEL_NOT_FOUND',
      });
    }
  });

  test('ListModels shows what there is', async () => {
    await using cnn = await openCnn([shippedModels]);
    const { models } = (await handle(
      cnn,
      'listModels',
      {},
      storage(Buffer.alloc(0)),
    )) as ListModelsResponse;
    assert.equal(
      models.map(({ name, state }) => [name, state]),
      [
        ['cats-vs-dogs', 'ready'],
        ['cats-vs-dogs-small', 'ready'],
        ['shapes', 'ready'],
      ],
    );
  });

  test('the defaults of the ini file are those of the service', () => {
    assert.equal(settings.parse({}), {
      ...{ ...DEFAULT_CNN_LIMITS, ...DEFAULT_TRAINING_LIMITS },
      default_model: 'cats-vs-dogs',
    });
  });
});
