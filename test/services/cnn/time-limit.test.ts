import { ManualClock } from '../../../runtime/clock.js';
import { DEFAULT_CNN_LIMITS } from '../../../services/cnn/limits.js';
import { CnnService } from '../../../services/cnn/service.js';
import type { RunRequest } from '../../../services/cnn/serving.js';
import { assert, suite } from '../../suite.js';
import { temporaryFolder } from './fixture.js';
import { averagingModel, installModel, averagingCard } from './onnx-model.js';
import { TwinExecutor } from './twin-executor.js';

const MODEL = 'm';

suite('the time that a run may take', (test) => {
  test('begins when the model is there: loading it does not count', async () => {
    await using folder = await temporaryFolder();
    await installModel(folder.path, averagingCard(MODEL), averagingModel('NCHW', 3));
    const clock = new ManualClock();
    const executor = new TwinExecutor();
    const deadlines: number[] = [];
    const load = executor.load.bind(executor);
    executor.load = async (source) => {
      const model = await load(source);
      const run = (request: RunRequest) => {
        deadlines.push(request.deadlineMs);
        return model.run(request);
      };
      return { ...model, run };
    };
    await using cnn = await CnnService.open({
      ...{ roots: [folder.path], writableRoot: folder.path, defaultModel: 'other' },
      ...{ limits: { ...DEFAULT_CNN_LIMITS, max_compute_ms: 1000 }, clock, executor },
    });
    executor.hold('load');
    const data = new Uint8Array(4 * 3 * 4 * 4);
    const inputs = [{ name: 'pixels', datatype: 'FP32', shape: [1, 3, 4, 4], data } as const];
    const answer = cnn.infer({ model: MODEL, inputs, outputs: [] });
    await executor.waiting('load');
    clock.advance(30_000);
    executor.release('load');
    await answer;
    assert.equal(deadlines, [clock.now() + 1000]);
  });
});
