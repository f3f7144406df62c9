import { status } from '@grpc/grpc-js';
import { rm } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError } from '../../../../runtime/errors.js';
import { Pins } from '../../../../services/cnn/repository/pins.js';
import { assert, rejects, suite } from '../../../suite.js';
import { answer, install, modelBytes, openRepository, overwrite, sha256Of } from './fixture.js';

const first = (): string => sha256Of(modelBytes());
const second = (): string => sha256Of(modelBytes('second'));

suite('pins', (test) => {
  test('a pinned version answers calls without one, also after a restart and at other members', async () => {
    await using one = await openRepository(async (root) => {
      await install(root, 'm', 1);
      await install(root, 'm', 2, { remark: 'second' });
    });
    await one.models.pin('m', 1);
    assert.is(await answer(one), first());
    assert.is(one.models.isPinned(one.models.look('m', 1)), true);
    await install(one.root, 'm', 3, { remark: 'third' });
    await one.models.rescan();
    assert.is(await answer(one), first());
    assert.equal([...(await new Pins(one.root).read())], [['m', 1]]);
    await one.models.pin('m', 0);
    assert.is(await answer(one), sha256Of(modelBytes('third')));
  });

  test('what is not there or fails to load is not pinned', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
      await install(root, 'm', 2, { remark: 'unsupported' });
    });
    await rejects(repository.models.pin('m', 9), FractoryError, { reason: 'MODEL_NOT_FOUND' });
    await rejects(repository.models.pin('m', 2), FractoryError, { reason: 'MODEL_CORRUPT' });
    assert.not(repository.models.isPinned(repository.models.look('m', 2)));
    assert.is(await answer(repository), first());
  });

  test('where the pinned version goes away the newest answers, until it is back', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
      await install(root, 'm', 2, { remark: 'second' });
    });
    await repository.models.pin('m', 1);
    await rm(path.join(repository.root, 'm', '1'), { recursive: true });
    await repository.models.rescan();
    assert.is(await answer(repository), second());
    await install(repository.root, 'm', 1);
    await repository.models.rescan();
    assert.is(await answer(repository), first());
  });
});

suite('the memory limit for models', (test) => {
  const size = modelBytes().length;
  const three = async (root: string): Promise<void> => {
    for (const name of ['a', 'b', 'c']) await install(root, name, 1);
  };

  test('the least recently used model that is idle leaves', async () => {
    await using repository = await openRepository(three, { max_models_bytes: 2.5 * size });
    for (const name of ['a', 'b', 'a', 'c']) await answer(repository, name);
    assert.equal(repository.executor.events, ['load a/1', 'load b/1', 'unload b/1', 'load c/1']);
    await answer(repository, 'b');
    assert.equal(repository.executor.events.slice(4), ['unload a/1', 'load b/1']);
    assert.is(repository.state('a'), 'ready');
  });

  test('where all are in use, a further one is refused with a time to try again', async () => {
    await using repository = await openRepository(three, { max_models_bytes: 2.5 * size });
    const leases = [await repository.acquire('a'), await repository.acquire('b')];
    const error = await rejects(repository.acquire('c'), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
      reason: 'MODELS_TOO_LARGE',
    });
    assert.match(error.message, /models in use take \d+, the limit max_models_bytes is \d+/);
    assert.ok(error.retryAfterMs);
    leases[1]?.[Symbol.dispose]();
    await answer(repository, 'c');
    assert.is(repository.executor.models.size, 2);
    leases[0]?.[Symbol.dispose]();
  });

  test('a model that is larger than the limit by itself is refused, and the others stay', async () => {
    await using repository = await openRepository(three, { max_models_bytes: 2.5 * size });
    await answer(repository, 'a');
    repository.executor.memoryBytes = 3 * size;
    const error = await rejects(repository.acquire('b'), FractoryError, {
      reason: 'MODELS_TOO_LARGE',
    });
    assert.is(error.retryAfterMs, undefined);
    assert.is(repository.executor.models.size, 1);
    await answer(repository, 'a');
    assert.is(repository.state('b'), 'ready');
  });

  test('a file above the limit is not even read', async () => {
    await using repository = await openRepository(three, { max_models_bytes: 100 });
    assert.match(
      repository.state('a'),
      /^model.onnx has \d+ bytes, the limit max_models_bytes is 100$/,
    );
    await rejects(repository.acquire('a'), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
      reason: 'MODELS_TOO_LARGE',
    });
  });

  test('where old and new do not fit together, the new one is loaded once the old one has gone', async () => {
    await using repository = await openRepository(three, { max_models_bytes: 1.5 * size });
    await answer(repository, 'a');
    await overwrite(path.join(repository.root, 'a', '1'), 'second');
    await repository.models.rescan();
    assert.is(await answer(repository, 'a'), second());
    assert.equal(repository.executor.events, ['load a/1', 'unload a/1', 'load a/1']);
  });

  test('a version that left the memory comes back with a call, not with a look at the folders', async () => {
    await using repository = await openRepository(
      async (root) => {
        await install(root, 'm', 1);
        await install(root, 'm', 2, { remark: 'second' });
      },
      { max_models_bytes: 1.5 * size },
    );
    await answer(repository, 'm', 2);
    await answer(repository, 'm', 1);
    const events = [...repository.executor.events];
    await repository.models.rescan();
    assert.equal(repository.executor.events, events);
    assert.is(await answer(repository), second());
  });
});
