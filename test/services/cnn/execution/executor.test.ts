import { status } from '@grpc/grpc-js';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Registry } from 'prom-client';

import { FractoryError } from '../../../../runtime/errors.js';
import { silentLogger } from '../../../../runtime/logger.js';
import { threadWorkers } from '../../../../runtime/worker-host.js';
import type { Card } from '../../../../services/cnn/card.js';
import { createExecutor } from '../../../../services/cnn/execution/executor.js';
import type { ExecutorOptions } from '../../../../services/cnn/execution/executor.js';
import { DEFAULT_CNN_LIMITS } from '../../../../services/cnn/limits.js';
import type { ModelExecutor, ModelSource, RunRequest } from '../../../../services/cnn/serving.js';
import { assert, rejects, suite } from '../../../suite.js';
import { shippedModels, temporaryFolder } from '../fixture.js';
import { asking, executorContract, numbersFrom, rowsOf } from './contract.js';
import { DOUBLING, installed } from '../small-models.js';

function executor(
  limits: Partial<ExecutorOptions['limits']> = {},
  options: Partial<ExecutorOptions> = {},
): ModelExecutor {
  return createExecutor({
    limits: { ...DEFAULT_CNN_LIMITS, tune: 'off', ...limits },
    ...{ log: silentLogger(), ...options },
  });
}

executorContract('worker threads', executor);

/** A model that came with the product. */
async function shipped(
  name: string,
  fixed: ModelSource['fixed'],
): Promise<{ source: ModelSource; card: Card }> {
  const folder = path.join(shippedModels, name, '1');
  const card = JSON.parse(await readFile(path.join(folder, 'model.json'), 'utf8')) as Card;
  const { input, output, labels } = card;
  const { width, height, channels } = input;
  return {
    card,
    source: {
      ...{ name, version: 1, file: path.join(folder, 'model.onnx'), sha256: card.sha256 },
      signature: {
        inputs: [{ name: input.name, datatype: 'FP32', shape: [-1, channels, height, width] }],
        outputs: [{ name: output.name, datatype: 'FP32', shape: [-1, labels.length] }],
        ...{ producer: '', opset: 17 },
      },
      ...{ extraOutput: undefined, fixed, exampleShapes: new Map() },
    },
  };
}

function pixelsOf({ input, output }: Card, seed: number): RunRequest {
  const pixels = new Uint8Array(input.width * input.height * input.channels);
  for (let at = 0; at < pixels.length; at++) pixels[at] = (at * 7919 + seed * 104_729) >>> 3;
  return { kind: 'pixels', pixels, input, outputs: [output.name], deadlineMs: Infinity };
}

suite('batches of the models that come with the product', (test) => {
  for (const name of ['shapes', 'cats-vs-dogs', 'cats-vs-dogs-small'])
    test(
      `${name} answers the same to 1e-5 whatever a picture shares its run with`,
      async () => {
        await using alone = executor({ workers: 1 });
        await using together = executor({ workers: 1 });
        const { source, card } = await shipped(name, { maxBatch: 1 });
        const single = await alone.load(source);
        const batched = await together.load({ ...source, fixed: { maxBatch: 7 } });
        assert.is(batched.arrangement.maxBatch, 7);
        const requests = Array.from({ length: 24 }, (_, seed) => pixelsOf(card, seed));
        const expected = await Promise.all(requests.map((request) => numbersFrom(single, request)));
        const found = await Promise.all(requests.map((request) => numbersFrom(batched, request)));
        assert.ok(Math.max(...together.counts(name, 1).batches.keys()) === 7);
        for (const [at, numbers] of found.entries())
          for (const [label, number] of numbers.entries())
            assert.ok(
              Math.abs(number - (expected[at]?.[label] ?? Number.NaN)) <= 1e-5,
              `${String(number)} and ${String(expected[at]?.[label])}`,
            );
      },
      { timeoutMs: 60_000 },
    );
});

suite('worker threads that die', (test) => {
  test('a thread that dies costs its batch; what waits is answered, and the model loaded again', async () => {
    await using folder = await temporaryFolder();
    const start = threadWorkers(new URL('./mortal-worker.js', import.meta.url));
    await using mortal = executor({ workers: 1 }, { start });
    const model = await mortal.load(await installed(folder.path, DOUBLING));
    const input = rowsOf([1, 2, 3, 4]);
    const death = model.run(asking(input, { outputs: ['death'] }));
    const others = Array.from({ length: 5 }, () => numbersFrom(model, asking(input)));
    await rejects(death, FractoryError, { code: status.UNAVAILABLE, reason: 'WORKER_DIED' });
    for (const numbers of await Promise.all(others)) assert.equal(numbers, [3, 5, 7, 9]);
    const { requests, failures } = mortal.counts('small', 1);
    assert.equal([requests, failures], [6, 1]);
  });
});

suite('what an executor shows', (test) => {
  test('Prometheus sees requests, runs and times by model and version', async () => {
    await using folder = await temporaryFolder();
    const registry = new Registry();
    await using shown = executor({ workers: 1 }, { registry });
    const model = await shown.load(
      await installed(folder.path, DOUBLING, { fixed: { maxBatch: 2 } }),
    );
    await Promise.all([1, 2, 3].map(() => model.run(asking(rowsOf([1, 2, 3, 4])))));
    shown.decoded('small', 1, 2_500_000);
    const text = await registry.metrics();
    const line = (name: string, labels: string): string =>
      `fractory_cnn_${name}_total{model="small",version="1"${labels}}`;
    assert.ok(text.includes(`${line('requests', ',outcome="ok"')} 3`), text);
    assert.ok(text.includes(`${line('decode_seconds', '')} 2.5`), text);
    assert.ok(text.includes(line('runs', ',requests="1"')), text);
    for (const name of ['queue_seconds', 'compute_seconds', 'output_seconds'])
      assert.ok(text.includes(line(name, '')), text);
  });

  test('the event loop stays free while models run', async () => {
    await using busy = executor({ workers: 1 });
    const { source, card } = await shipped('cats-vs-dogs', {});
    const model = await busy.load(source);
    const delays = monitorEventLoopDelay({ resolution: 1 });
    delays.enable();
    await Promise.all(Array.from({ length: 100 }, (_, seed) => model.run(pixelsOf(card, seed))));
    delays.disable();
    // 20 ms on a free machine; tests run beside each other.
    assert.ok(delays.percentile(99) / 1e6 < 150, String(delays.percentile(99) / 1e6));
  });
});
