import { execFile } from 'node:child_process';
import { mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { assert, suite } from '../../../suite.js';
import { answer, install, modelBytes, openRepository, overwrite, sha256Of } from './fixture.js';

const first = (): string => sha256Of(modelBytes());
const second = (): string => sha256Of(modelBytes('second'));

async function makePipe(file: string): Promise<void> {
  await rm(file);
  await promisify(execFile)('mkfifo', [file]);
}

suite('files that are none', (test) => {
  test('pipes in the place of a model or a card are told, and hold nobody up', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
      await makePipe(path.join(await install(root, 'card', 1), 'model.json'));
      await makePipe(path.join(await install(root, 'model', 1), 'model.onnx'));
    });
    assert.is(repository.state('card'), 'model.json is not a file');
    assert.is(repository.state('model'), 'model.onnx is not a file');
    assert.is(await answer(repository), first());
  });

  test('a card as long as a disk is not read', async () => {
    await using repository = await openRepository(async (root) => {
      await truncate(path.join(await install(root, 'm', 1), 'model.json'), 2 ** 40);
    });
    assert.is(repository.state('m'), 'model.json has 1099511627776 bytes, a card ends at 8388608');
  });

  test('a folder in the place of a pin pins nothing', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
      await mkdir(path.join(root, '.pins', 'm'), { recursive: true });
    });
    assert.is(await answer(repository), first());
  });
});

suite('a version that changes while it is unloaded by hand', (test) => {
  test('is the new one when it is loaded again, whenever that was', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    await answer(repository);
    await overwrite(path.join(repository.root, 'm', '1'), 'second');
    repository.executor.hold('load');
    const looked = repository.models.rescan();
    await repository.executor.waiting('load');
    const unloaded = repository.models.unload('m', 1);
    repository.executor.release('load');
    await Promise.all([looked, unloaded]);
    assert.is(repository.state('m'), 'unloaded');
    await repository.models.load('m', 1);
    assert.is(await answer(repository), second());
  });

  test('and could not take over before tells of its own trouble, not of the old one', async () => {
    await using repository = await openRepository(async (root) => {
      await install(root, 'm', 1);
    });
    const folder = path.join(repository.root, 'm', '1');
    for (const [change, expected] of [
      [() => overwrite(folder, 'unsupported'), /Sine\(99\) is no known operator$/],
      [() => writeFile(path.join(folder, 'model.json'), '{'), /model.json is not JSON$/],
    ] as const) {
      await overwrite(folder, '');
      await repository.models.load('m', 1);
      await change();
      await repository.models.rescan();
      assert.is(await answer(repository), first());
      await repository.models.unload('m', 1);
      let told = '';
      await repository.models.load('m', 1).catch((error: unknown) => {
        told = String(error);
      });
      assert.match(told, expected);
    }
  });
});
