import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { silentLogger } from '../../../../runtime/logger.js';
import { createExecutor } from '../../../../services/cnn/execution/executor.js';
import type { ExecutorOptions } from '../../../../services/cnn/execution/executor.js';
import { TuningFile } from '../../../../services/cnn/execution/tuning-file.js';
import { DEFAULT_CNN_LIMITS } from '../../../../services/cnn/limits.js';
import type { LoadedModel, ModelExecutor } from '../../../../services/cnn/serving.js';
import { assert, suite } from '../../../suite.js';
import { temporaryFolder } from '../fixture.js';
import { asking, numbersFrom, rowsOf } from './contract.js';
import { CENTRING, DOUBLING, installed } from './small-models.js';

function tuned(tuningFile: string, limits: Partial<ExecutorOptions['limits']> = {}): ModelExecutor {
  return createExecutor({
    limits: { ...DEFAULT_CNN_LIMITS, workers: 2, ...limits },
    ...{ log: silentLogger(), tuningFile, tuning: { idleMs: 20, othersShare: 1 } },
  });
}

/** Resolves when the model was measured. */
async function measured({ arrangement }: LoadedModel, model: LoadedModel): Promise<void> {
  while (model.arrangement === arrangement) await new Promise((resolve) => setTimeout(resolve, 20));
}

suite('measuring a model while the node is idle', (test) => {
  test(
    'it serves at once, is measured, goes on serving, and the next start knows the result',
    async () => {
      await using folder = await temporaryFolder();
      const file = path.join(folder.path, 'tuning', '.tuning.json');
      const source = await installed(folder.path, DOUBLING);
      let chosen;
      {
        await using executor = tuned(file);
        const model = await executor.load(source);
        assert.match(model.arrangement.reason, /not measured/);
        assert.equal(await numbersFrom(model, asking(rowsOf([1, 2, 3, 4]))), [3, 5, 7, 9]);
        await measured(model, model);
        chosen = model.arrangement;
        assert.match(chosen.reason, /^measured: \d workers x \d threads x batch \d+: \d+\/s/);
        assert.equal(await numbersFrom(model, asking(rowsOf([1, 2, 3, 4]))), [3, 5, 7, 9]);
        while ((await readFile(file, 'utf8').catch(() => '')) === '')
          await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await using again = tuned(file);
      assert.equal((await again.load(source)).arrangement, chosen);
    },
    { timeoutMs: 60_000 },
  );

  test(
    'requests that come meanwhile are answered, and do not keep it from being measured later',
    async () => {
      await using folder = await temporaryFolder();
      await using executor = tuned(path.join(folder.path, '.tuning.json'));
      const model = await executor.load(await installed(folder.path, DOUBLING));
      const before = model.arrangement;
      for (let call = 0; call < 10; call++) {
        await new Promise((resolve) => setTimeout(resolve, 30));
        assert.equal(await numbersFrom(model, asking(rowsOf([0, 0, 0, 0]))), [1, 1, 1, 1]);
      }
      assert.is(model.arrangement, before);
      await measured(model, model);
    },
    { timeoutMs: 60_000 },
  );

  test(
    'a model whose rows influence each other is never given a batch',
    async () => {
      await using folder = await temporaryFolder();
      await using executor = tuned(path.join(folder.path, '.tuning.json'));
      const model = await executor.load(await installed(folder.path, CENTRING));
      await measured(model, model);
      assert.is(model.arrangement.maxBatch, 1);
      assert.match(model.arrangement.reason, /one by one/);
    },
    { timeoutMs: 60_000 },
  );
});

suite('the tuning file', (test) => {
  const key = { sha256: 'a'.repeat(64), cores: 2, fixed: '{}', runtime: '1' };
  const arrangement = { workers: 2, threads: 1, maxBatch: 4, maxDelayMs: 0, reason: 'measured' };

  test('what was remembered is found, for the same model on the same machine only', async () => {
    await using folder = await temporaryFolder();
    const file = new TuningFile(path.join(folder.path, 'new', '.tuning.json'), silentLogger());
    assert.is(await file.find(key), undefined);
    await file.remember(key, arrangement);
    await file.remember({ ...key, cores: 4 }, { ...arrangement, workers: 4 });
    assert.equal(await file.find(key), arrangement);
    assert.is((await file.find({ ...key, cores: 4 }))?.workers, 4);
    assert.is(await file.find({ ...key, runtime: '2' }), undefined);
  });

  test('a file that makes no sense is ignored and replaced', async () => {
    await using folder = await temporaryFolder();
    const name = path.join(folder.path, '.tuning.json');
    for (const text of ['', '{"version": 2}', '{"version":1,"models":{"x":{"workers":0}}}']) {
      await writeFile(name, text);
      const file = new TuningFile(name, silentLogger());
      assert.is(await file.find(key), undefined);
      await file.remember(key, arrangement);
      assert.equal(await file.find(key), arrangement);
    }
  });
});
