import { Metadata, status } from '@grpc/grpc-js';
import { Readable } from 'node:stream';

import { cnnTypedService } from '../../../controllers/cnn/service.js';
import { settings } from '../../../controllers/cnn/settings.js';
import type { CallContext } from '../../../controllers/kernel/calls.js';
import type { Peers } from '../../../controllers/kernel/device.js';
import { paintShape } from '../../../applications/sdk/painter.js';
import type { ListModelsResponse, PredictResponse } from '../../../protos/gen/fractory/v1/cnn.js';
import { FractoryError } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import { DEFAULT_CNN_LIMITS } from '../../../services/cnn/limits.js';
import type { CnnService } from '../../../services/cnn/service.js';
import { assert, rejects, suite } from '../../suite.js';
import { openCnn, shippedModels } from '../../services/cnn/fixture.js';

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
    assert.equal(two, one);
  });

  test('a stored picture that is too large is refused, whether it says so or not', async () => {
    await using cnn = await openCnn([shippedModels], { max_image_bytes: 1000 });
    const source = { $case: 'stored', value: { client: 'admin', name: 'star.png' } };
    for (const peers of [storage(Buffer.alloc(10), 5000), storage(Buffer.alloc(5000), 10)])
      await rejects(handle(cnn, 'predict', { ...predict, source }, peers), FractoryError, {
        reason: 'IMAGE_TOO_LARGE',
      });
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
    assert.equal(settings.parse({}), { ...DEFAULT_CNN_LIMITS, default_model: 'cats-vs-dogs' });
  });
});
