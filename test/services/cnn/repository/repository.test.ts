import { status } from '@grpc/grpc-js';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError } from '../../../../runtime/errors.js';
import { readFacts } from '../../../../services/cnn/repository/facts.js';
import { scanVersions } from '../../../../services/cnn/repository/scan.js';
import { assert, rejects, suite } from '../../../suite.js';
import { temporaryFolder } from '../fixture.js';
import { answer, install, modelBytes, openRepository, overwrite, sha256Of } from './fixture.js';

const first = (): string => sha256Of(modelBytes());
const second = (): string => sha256Of(modelBytes('second'));

suite('versions of models on disk', (test) => {
  test('nothing is loaded before its first use, and then once', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    assert.equal(repository.executor.events, []);
    await Promise.all([answer(repository), answer(repository), answer(repository)]);
    assert.equal(repository.executor.events, ['load m/1']);
    assert.is(repository.state('m'), 'ready');
  });

  test('two loads at once are one', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    repository.executor.hold('load');
    const loads = [repository.models.load('m', 1), repository.models.load('m', 0)];
    await repository.executor.waiting('load');
    repository.executor.release('load');
    const [one, other] = await Promise.all(loads);
    assert.is(one, other);
    assert.equal(repository.executor.events, ['load m/1']);
  });

  test('a broken card, a wrong hash, a cut file and a missing file are told, each in one line', async () => {
    await using repository = await openRepository(async (root) => {
      await writeFile(path.join(await install(root, 'card', 1), 'model.json'), '{');
      await overwrite(await install(root, 'hash', 1), 'other', { steps: ['model'] });
      const cut = await install(root, 'cut', 1, { card: null });
      await truncate(path.join(cut, 'model.onnx'), modelBytes().length - 30);
      await rm(path.join(await install(root, 'gone', 1), 'model.onnx'));
      await mkdir(path.join(root, 'empty', '1'), { recursive: true });
    });
    const expected: readonly (readonly [string, RegExp])[] = [
      ['card', /^model.json is not JSON$/],
      ['hash', /^model.onnx has the SHA-256 [0-9a-f]{64}, its card says [0-9a-f]{64}$/],
      ['cut', /^model.onnx is no whole ONNX file: it ends too early$/],
      ['gone', /^model.onnx is missing$/],
      ['empty', /^model.onnx is missing$/],
    ];
    for (const [name, pattern] of expected) {
      assert.match(repository.state(name), pattern);
      const error = await rejects(repository.acquire(name), FractoryError, {
        code: status.FAILED_PRECONDITION,
        reason: 'MODEL_CORRUPT',
      });
      assert.not.match(error.message, /\n/);
    }
    assert.equal(repository.executor.events, []);
  });

  test('a card that contradicts its model is told before anything is loaded', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'labels', 1, { card: { labels: ['one'] } });
      await install(root, 'output', 1, { card: { output: { name: 'x', activation: 'none' } } });
      await install(root, 'embedding', 1, { card: { embedding: { output: 'nowhere' } } });
    });
    assert.match(repository.state('labels'), /averages has 3 numbers, its card has 1 labels/);
    assert.match(repository.state('output'), /names the output x, model.onnx has averages/);
    assert.match(repository.state('embedding'), /no tensor of model.onnx is called so/);
  });

  test('a model without a card is one of tensors', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1, { card: null });
    });
    const { facts } = repository.models.look('m', 0);
    assert.is(facts.card, undefined);
    assert.is(facts.sha256, first());
    assert.equal(facts.signature?.inputs, [
      { name: 'pixels', datatype: 'FP32', shape: [1, 3, -1, -1] },
    ]);
    assert.is(await answer(repository), first());
  });

  test('an unknown model and an unknown version name what there is', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'model', 1);
      await install(root, 'model', 3);
    });
    const unknown = await rejects(repository.acquire('modle'), FractoryError, {
      reason: 'MODEL_NOT_FOUND',
    });
    assert.match(unknown.message, /there are: model; did you mean model\?/);
    const version = await rejects(repository.acquire('model', 2), FractoryError, {
      reason: 'MODEL_NOT_FOUND',
    });
    assert.match(version.message, /no version 2, there are: 3, 1/);
    await rejects(repository.models.unload('other', 0), FractoryError, {
      reason: 'MODEL_NOT_FOUND',
    });
  });

  test(
    'a file of 3 GB, of 2 GB and above the limit for models: one line each, at once',
    async () => {
      await using folder = await temporaryFolder();
      const file = path.join(await install(folder.path, 'm', 1), 'model.onnx');
      const problems: (string | undefined)[] = [];
      for (const size of [3 * 1024 ** 3, 2 ** 31 - 1]) {
        await truncate(file, size);
        for (const limit of [2 ** 40, 2 ** 30]) {
          const [found] = await scanVersions([folder.path]);
          if (size < 2 ** 31 && limit > 2 ** 31) continue;
          problems.push((await readFacts(found!, limit)).problem);
        }
      }
      assert.equal(problems, [
        'model.onnx has 3221225472 bytes, an ONNX file ends at 2147483647',
        'model.onnx has 3221225472 bytes, an ONNX file ends at 2147483647',
        'model.onnx has 2147483647 bytes, the limit max_models_bytes is 1073741824',
      ]);
    },
    { timeoutMs: 30_000 },
  );

  test('a file that changes while it is read is not taken', async () => {
    await using folder = await temporaryFolder();
    const where = await install(folder.path, 'm', 1);
    const [found] = await scanVersions([folder.path]);
    await overwrite(where, 'longer than it was');
    assert.is((await readFacts(found!, 2 ** 30)).problem, 'its files are being written');
  });
});

suite('a model that changes while it serves', (test) => {
  test('is replaced by the new one; what is under way ends on the old one', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    const lease = await repository.acquire('m');
    await overwrite(path.join(repository.root, 'm', '1'), 'second');
    await repository.models.rescan();
    assert.is(await answer(repository), second());
    assert.equal(repository.executor.events, ['load m/1', 'load m/1']);
    const old = await lease.loaded.run({
      ...{ kind: 'tensors', inputs: [], outputs: ['x'], deadlineMs: Infinity },
    });
    assert.is(Buffer.from(old.outputs[0]!.data).toString('hex'), first());
    lease[Symbol.dispose]();
    await new Promise(setImmediate);
    assert.equal(repository.executor.events.at(-1), 'unload m/1');
    assert.is(repository.executor.models.size, 1);
  });

  test('serves on as it was while the new one is half written, and where it is bad', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    const folder = path.join(repository.root, 'm', '1');
    await answer(repository);
    await overwrite(folder, 'second', { steps: ['card'] });
    await repository.models.rescan();
    assert.match(
      repository.state('m'),
      /^model.onnx has the SHA-256 .*; what was loaded before serves on$/,
    );
    assert.is(await answer(repository), first());
    await writeFile(path.join(folder, 'model.onnx'), modelBytes('second').subarray(0, 50));
    await repository.models.rescan();
    assert.is(await answer(repository), first());
    await overwrite(folder, 'unsupported');
    await repository.models.rescan();
    assert.is(
      repository.state('m'),
      'Sine(99) is no known operator; what was loaded before serves on',
    );
    assert.is(await answer(repository), first());
    await overwrite(folder, 'second');
    await repository.models.rescan();
    assert.is(repository.state('m'), 'ready');
    assert.is(await answer(repository), second());
  });

  test('a new version takes over once it is loaded; a bad one never does', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    await answer(repository);
    await install(repository.root, 'm', 2, { remark: 'second' });
    repository.executor.hold('load');
    const scan = repository.models.rescan();
    await repository.executor.waiting('load');
    // Nobody waits for the new one.
    assert.is(await answer(repository), first());
    repository.executor.release('load');
    await scan;
    assert.is(await answer(repository), second());
    await install(repository.root, 'm', 3, { remark: 'unsupported' });
    await repository.models.rescan();
    assert.is(repository.state('m', 3), 'Sine(99) is no known operator');
    assert.is(await answer(repository), second());
    await rejects(repository.acquire('m', 3), FractoryError, { reason: 'MODEL_CORRUPT' });
  });

  test('at its first use a newest version that fails lets the one before answer', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
      await install(root, 'm', 2, { remark: 'unsupported' });
    });
    assert.is(await answer(repository), first());
    assert.equal(repository.executor.events, ['load m/2', 'load m/1']);
  });

  test('a file that changed since it was looked at is looked at again before it is loaded', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    await overwrite(path.join(repository.root, 'm', '1'), 'second');
    assert.is(await answer(repository, 'm', 1), second());
  });

  test('a version that goes away ends what is under way and is unknown then', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    const lease = await repository.acquire('m');
    await rm(path.join(repository.root, 'm'), { recursive: true });
    await repository.models.rescan();
    await rejects(repository.acquire('m'), FractoryError, { reason: 'MODEL_NOT_FOUND' });
    assert.is(repository.executor.models.size, 1);
    lease[Symbol.dispose]();
    await new Promise(setImmediate);
    assert.is(repository.executor.models.size, 0);
  });
});

suite('loading and unloading by hand', (test) => {
  test('an unloaded model is refused until it is loaded, and nothing of it stays', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
      await install(root, 'm', 2);
    });
    await Promise.all([answer(repository, 'm', 1), answer(repository, 'm', 2)]);
    await repository.models.unload('m', 0);
    assert.is(repository.executor.models.size, 0);
    assert.is(repository.state('m'), 'unloaded');
    for (const version of [0, 1])
      await rejects(repository.acquire('m', version), FractoryError, {
        code: status.FAILED_PRECONDITION,
        reason: 'MODEL_UNLOADED',
      });
    await repository.models.load('m', 1);
    assert.is(await answer(repository), first());
    assert.is(repository.models.find('m', 0).version, 1);
    await repository.models.load('m', 2);
    assert.is(repository.models.find('m', 0).version, 2);
  });

  test('unloading waits for what is under way and refuses what comes', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    const lease = await repository.acquire('m');
    const unloading = repository.models.unload('m', 1);
    await rejects(repository.acquire('m', 1), FractoryError, { reason: 'MODEL_UNLOADED' });
    assert.is(repository.executor.models.size, 1);
    lease[Symbol.dispose]();
    await unloading;
    assert.is(repository.executor.models.size, 0);
  });

  test('who waits for a model that is unloaded while it loads is refused, and it leaves', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    repository.executor.hold('load');
    const waiting = rejects(repository.acquire('m'), FractoryError, { reason: 'MODEL_UNLOADED' });
    await repository.executor.waiting('load');
    const unloading = repository.models.unload('m', 0);
    repository.executor.release('load');
    await Promise.all([waiting, unloading]);
    assert.is(repository.executor.models.size, 0);
  });

  test('who gives up waiting for a model is told at once, and the load goes on', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    repository.executor.hold('load');
    const reason = new Error('enough');
    const { signal } = { signal: AbortSignal.abort(reason) };
    const error = await rejects(
      repository.models.acquire('m', 0, { timeoutMs: 5000, signal }),
      Error,
    );
    assert.is(error, reason);
    await repository.executor.waiting('load');
    repository.executor.release('load');
    assert.is(await answer(repository), first());
    assert.equal(repository.executor.events, ['load m/1']);
  });

  test('loading by hand tries again what has failed', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1, { remark: 'unsupported' });
    });
    for (const count of [1, 2]) {
      await rejects(repository.models.load('m', 1), FractoryError, { reason: 'MODEL_CORRUPT' });
      assert.is(repository.executor.events.length, count);
    }
    await rejects(repository.acquire('m'), FractoryError, { reason: 'MODEL_CORRUPT' });
    assert.is(repository.executor.events.length, 2);
  });
});
