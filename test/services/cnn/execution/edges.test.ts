import { FractoryError } from '../../../../runtime/errors.js';
import { silentLogger } from '../../../../runtime/logger.js';
import { threadWorkers } from '../../../../runtime/worker-host.js';
import type { StartWorker } from '../../../../runtime/worker-host.js';
import { exampleOf } from '../../../../services/cnn/execution/example.js';
import { createExecutor } from '../../../../services/cnn/execution/executor.js';
import { DEFAULT_CNN_LIMITS } from '../../../../services/cnn/limits.js';
import { assert, rejects, suite } from '../../../suite.js';
import { encoded, openCnn, shippedModels, temporaryFolder } from '../fixture.js';
import { asking, rowsOf } from './contract.js';
import { DOUBLING, installed } from '../small-models.js';

const script = new URL('../../../../services/cnn/execution/worker.js', import.meta.url);

suite('the end of an executor', (test) => {
  test('is the end: what is unloaded or loaded after it starts no thread', async () => {
    await using folder = await temporaryFolder();
    const started: number[] = [];
    const start: StartWorker = (events) => {
      started.push(Date.now());
      return threadWorkers(script)(events);
    };
    const limits = { ...DEFAULT_CNN_LIMITS, tune: 'off', workers: 1 } as const;
    const executor = createExecutor({ limits, log: silentLogger(), start });
    const source = await installed(folder.path, DOUBLING);
    const model = await executor.load(source);
    await model.run(asking(rowsOf([1, 2, 3, 4])));
    await executor[Symbol.asyncDispose]();
    await model.unload();
    await rejects(executor.load(source), FractoryError, { reason: 'NODE_STOPPING' });
    assert.is(started.length, 1);
  });
});

suite('a request that comes too late', (test) => {
  test('is refused before its picture is decoded, and counted', async () => {
    await using cnn = await openCnn([shippedModels]);
    const broken = encoded(Buffer.from([0xff, 0xd8, 0xff, 0]));
    await rejects(cnn.predict(broken), FractoryError, { reason: 'BROKEN_IMAGE' });
    await rejects(cnn.predict(broken, { deadlineMs: Date.now() - 1 }), FractoryError, {
      reason: 'DEADLINE_EXCEEDED',
    });
    const { requests, failures } = cnn.models().find((one) => one.loaded)?.counts ?? {};
    assert.equal([requests, failures], [1, 1]);
  });
});

suite('the example of a model', (test) => {
  test('is none where all inputs together are too large for it', () => {
    const specs = Array.from({ length: 9 }, (_, at) => ({
      ...{ name: `x${String(at)}`, datatype: 'UINT8' as const, shape: [32 * 1024 ** 2] },
    }));
    const { tensors } = exampleOf({
      ...{ name: 'm', version: 1, file: '', sha256: '', extraOutput: undefined, fixed: {} },
      signature: { inputs: specs, outputs: [], producer: '', opset: 17 },
      exampleShapes: new Map(),
    });
    assert.is(tensors.length, 0);
  });
});
