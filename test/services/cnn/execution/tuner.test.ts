import { EventEmitter, once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { pino } from 'pino';

import { ManualClock } from '../../../../runtime/clock.js';
import { silentLogger } from '../../../../runtime/logger.js';
import { createExecutor } from '../../../../services/cnn/execution/executor.js';
import type { ExecutorOptions } from '../../../../services/cnn/execution/executor.js';
import { TuningFile } from '../../../../services/cnn/execution/tuning-file.js';
import { DEFAULT_CNN_LIMITS } from '../../../../services/cnn/limits.js';
import type { Arrangement, ModelExecutor, ModelSource } from '../../../../services/cnn/serving.js';
import { assert, suite } from '../../../suite.js';
import { temporaryFolder } from '../fixture.js';
import { asking, numbersFrom, rowsOf } from './contract.js';
import { scriptedWorkers } from './scripted-workers.js';
import type { RunTimes } from './scripted-workers.js';
import { CENTRING, DOUBLING, installed } from '../small-models.js';

const IDLE_MS = 1000;

/** An executor that measures, and what it needs to be told when it has. */
class Tuned implements AsyncDisposable {
  readonly executor: ModelExecutor;
  readonly clock = new ManualClock();
  readonly #lines = new EventEmitter();

  constructor(tuningFile: string, options: Partial<ExecutorOptions> = {}) {
    const log = pino(
      {},
      { write: (line) => this.#lines.emit((JSON.parse(line) as { readonly msg: string }).msg) },
    );
    this.executor = createExecutor({
      limits: { ...DEFAULT_CNN_LIMITS, workers: 2 },
      ...{ log, clock: this.clock, tuningFile, tuning: { idleMs: IDLE_MS, othersShare: 1 } },
      ...options,
    });
  }

  /** Lets the node be idle; resolves when it has measured its model. */
  async measured(): Promise<void> {
    const told = once(this.#lines, 'model measured');
    this.clock.advance(IDLE_MS);
    await told;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.executor[Symbol.asyncDispose]();
  }
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
        await using node = new Tuned(file);
        const model = await node.executor.load(source);
        assert.match(model.arrangement.reason, /not measured/);
        assert.equal(await numbersFrom(model, asking(rowsOf([1, 2, 3, 4]))), [3, 5, 7, 9]);
        await node.measured();
        chosen = model.arrangement;
        assert.match(chosen.reason, /^measured: \d workers x \d threads x batch \d+: \d+\/s/);
        assert.equal(await numbersFrom(model, asking(rowsOf([1, 2, 3, 4]))), [3, 5, 7, 9]);
      }
      await using again = new Tuned(file);
      assert.equal((await again.executor.load(source)).arrangement, chosen);
    },
    { timeoutMs: 60_000 },
  );

  test(
    'requests that come meanwhile are answered, and do not keep it from being measured later',
    async () => {
      await using folder = await temporaryFolder();
      const limits = { ...DEFAULT_CNN_LIMITS, workers: 1 };
      await using node = new Tuned(path.join(folder.path, '.tuning.json'), { limits });
      const model = await node.executor.load(await installed(folder.path, DOUBLING));
      const before = model.arrangement;
      const answered = async (): Promise<void> => {
        assert.equal(await numbersFrom(model, asking(rowsOf([0, 0, 0, 0]))), [1, 1, 1, 1]);
      };
      for (let call = 0; call < 10; call++) {
        node.clock.advance(IDLE_MS - 1);
        await answered();
      }
      // Now it begins to measure, and has to stop.
      node.clock.advance(IDLE_MS);
      await answered();
      assert.is(model.arrangement, before);
      await node.measured();
      assert.not(model.arrangement === before);
    },
    { timeoutMs: 60_000 },
  );

  test(
    'a model whose rows influence each other is never given a batch',
    async () => {
      await using folder = await temporaryFolder();
      await using node = new Tuned(path.join(folder.path, '.tuning.json'));
      const model = await node.executor.load(await installed(folder.path, CENTRING));
      await node.measured();
      assert.is(model.arrangement.maxBatch, 1);
      assert.match(model.arrangement.reason, /one by one/);
    },
    { timeoutMs: 60_000 },
  );
});

suite('what is chosen of what was measured', (test) => {
  const chosenFor = async (
    runMs: RunTimes,
    fixed: ModelSource['fixed'] = {},
  ): Promise<Arrangement> => {
    await using folder = await temporaryFolder();
    const start = scriptedWorkers(runMs);
    await using node = new Tuned(path.join(folder.path, '.tuning.json'), { start });
    const model = await node.executor.load(await installed(folder.path, DOUBLING, { fixed }));
    await node.measured();
    return model.arrangement;
  };

  test('where batches are as fast as single requests, the largest of at most four', async () => {
    const { workers, maxBatch, maxDelayMs, reason } = await chosenFor((batch) => 2 * batch);
    assert.equal([workers, maxBatch, maxDelayMs], [2, 4, 0]);
    assert.match(reason, /4 that wait anyway compute as fast together and spare messages$/);
  });

  test('a smaller one where four take longer than 10 ms, and none where two do', async () => {
    assert.is((await chosenFor((batch) => 3 * batch)).maxBatch, 2);
    assert.is((await chosenFor((batch) => 6 * batch)).maxBatch, 1);
  });

  test('none where they are slower, also where that shows at the second look only', async () => {
    assert.is((await chosenFor((batch) => (batch > 1 ? 2.1 * batch : 2))).maxBatch, 1);
    const looks = new Map<number, number>();
    const later = (batch: number): number => {
      looks.set(batch, (looks.get(batch) ?? 0) + 1);
      // Two workers look at each batch once at a time.
      return batch === 1 || (looks.get(batch) ?? 0) <= 2 ? 2 * batch : 2.2 * batch;
    };
    assert.is((await chosenFor(later)).maxBatch, 1);
  });

  test('one that gains by computing comes before that', async () => {
    const { maxBatch, reason } = await chosenFor((batch) => 2 + 0.2 * batch);
    assert.is(maxBatch, 16);
    assert.not.match(reason, /spare/);
  });

  test('another number of workers takes another amount of memory', async () => {
    await using folder = await temporaryFolder();
    const start = scriptedWorkers((batch, threads) => (batch * 2.2) / threads);
    await using node = new Tuned(path.join(folder.path, '.tuning.json'), { start });
    const model = await node.executor.load(await installed(folder.path, DOUBLING));
    const before = model.memoryBytes;
    await node.measured();
    assert.equal([model.arrangement.workers, model.arrangement.threads], [1, 2]);
    assert.is(model.memoryBytes, before / 2);
  });

  test('none where requests would wait for others to fill it', async () => {
    const { maxBatch, maxDelayMs } = await chosenFor((batch) => 2 * batch, { maxDelayMs: 5 });
    assert.equal([maxBatch, maxDelayMs], [1, 5]);
  });
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

  test('what was chosen by older rules is not found', async () => {
    await using folder = await temporaryFolder();
    const name = path.join(folder.path, '.tuning.json');
    const file = new TuningFile(name, silentLogger());
    await file.remember(key, arrangement);
    const text = await readFile(name, 'utf8');
    await writeFile(name, text.replace(/ \| rules \d+"/, '"'));
    assert.is(await file.find(key), undefined);
    await writeFile(name, text);
    assert.equal(await file.find(key), arrangement);
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
