import { status } from '@grpc/grpc-js';
import { rm, writeFile } from 'node:fs/promises';

import { FractoryError } from '../../../../runtime/errors.js';
import type { ExecutionLimits } from '../../../../services/cnn/execution/executor.js';
import type { LoadedModel, ModelExecutor, RunRequest } from '../../../../services/cnn/serving.js';
import { joinBytes } from '../../../../services/cnn/tensors/data.js';
import type { NamedTensor } from '../../../../services/cnn/tensors/tensor.js';
import { assert, rejects, suite } from '../../../suite.js';
import { temporaryFolder } from '../fixture.js';
import {
  CENTRING,
  DOUBLING,
  installed,
  LOOKING_UP,
  MULTIPLYING,
  passing,
  TOTALLING,
} from '../small-models.js';

export type MakeExecutor = (limits?: Partial<ExecutionLimits>) => ModelExecutor;

/** FP32 rows of four numbers. */
export function rowsOf(...rows: readonly (readonly number[])[]): NamedTensor {
  const data = new Uint8Array(Float32Array.from(rows.flat()).buffer);
  return { name: 'x', datatype: 'FP32', shape: [rows.length, 4], data };
}

/** A square of zeros for `MULTIPLYING`. */
function square(side: number): NamedTensor {
  return {
    name: 'x',
    datatype: 'FP32',
    shape: [side, side],
    data: new Uint8Array(4 * side * side),
  };
}

export function asking(
  input: NamedTensor,
  changes: Partial<Pick<RunRequest, 'deadlineMs' | 'signal' | 'outputs'>> = {},
): RunRequest {
  return { kind: 'tensors', inputs: [input], outputs: ['y'], deadlineMs: Infinity, ...changes };
}

/** The FP32 numbers that a model answers. */
export async function numbersFrom(model: LoadedModel, request: RunRequest): Promise<number[]> {
  const { outputs } = await model.run(request);
  return [...new Float32Array(outputs[0]?.data.slice().buffer ?? new ArrayBuffer(0))];
}

function looking(...indices: readonly bigint[]): NamedTensor {
  const data = new Uint8Array(BigInt64Array.from(indices).buffer);
  return { name: 'index', datatype: 'INT64', shape: [indices.length], data };
}

/** What every `ModelExecutor` does, whatever runs the models. */
export function executorContract(subject: string, make: MakeExecutor): void {
  suite(`${subject}: running models`, (test) => {
    test('a request gets what the model computes, and where the time went', async () => {
      await using folder = await temporaryFolder();
      await using executor = make();
      const model = await executor.load(await installed(folder.path, DOUBLING));
      const { outputs, times } = await model.run(asking(rowsOf([1, 2, 3, 4], [0, 0, 0, -1])));
      const [y] = outputs;
      assert.equal([y?.shape, y?.datatype], [[2, 4], 'FP32']);
      assert.equal(
        [...new Float32Array(y?.data.slice().buffer ?? new ArrayBuffer(0))],
        [3, 5, 7, 9, 1, 1, 1, -1],
      );
      assert.ok(times.computeUs > 0 && times.queueUs >= 0 && times.batch === 1);
    });

    test('requests that are put together get what they get alone', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1 });
      const source = await installed(folder.path, DOUBLING, { fixed: { maxBatch: 8 } });
      const model = await executor.load(source);
      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, at) =>
          numbersFrom(
            model,
            asking(rowsOf(...Array.from({ length: 1 + (at % 3) }, () => [at, 0, 0, at]))),
          ),
        ),
      );
      for (const [at, numbers] of answers.entries())
        assert.equal(
          numbers,
          Array.from({ length: 1 + (at % 3) }, () => [2 * at + 1, 1, 1, 2 * at + 1]).flat(),
        );
      const { batches } = executor.counts('small', 1);
      assert.ok(Math.max(...batches.keys()) > 1, [...batches.keys()].join());
    });

    test('a model whose rows influence each other is never asked for two requests at once', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1 });
      for (const model of [CENTRING, TOTALLING]) {
        const loaded = await executor.load(
          await installed(folder.path, model, { fixed: { maxBatch: 8 } }),
        );
        assert.is(loaded.arrangement.maxBatch, 1);
        assert.match(loaded.arrangement.reason, /influence each other/);
      }
    });

    test('a bad request in a batch fails alone', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1 });
      const source = await installed(folder.path, LOOKING_UP, { fixed: { maxBatch: 16 } });
      const model = await executor.load(source);
      const results = await Promise.allSettled(
        [0n, 1n, 99n, 3n, 4n, 2n, 0n, 1n].map((index) => model.run(asking(looking(index)))),
      );
      assert.equal(
        results.map((result) => result.status === 'fulfilled'),
        [true, true, false, true, true, true, true, true],
      );
      const failed = results[2] as PromiseRejectedResult;
      assert.is((failed.reason as FractoryError).reason, 'MODEL_FAILED');
      const { requests, failures } = executor.counts('small', 1);
      assert.equal([requests, failures], [8, 1]);
    });

    test('requests of other shapes run, but not together', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1 });
      const model = await executor.load(
        await installed(folder.path, LOOKING_UP, { fixed: { maxBatch: 4 } }),
      );
      const [one, three] = await Promise.all([
        numbersFrom(model, asking(looking(4n))),
        numbersFrom(model, asking(looking(0n, 1n, 2n))),
      ]);
      assert.equal([one, three], [[14], [10, 11, 12]]);
    });

    test('tensors that the model refuses are INVALID_ARGUMENT', async () => {
      await using folder = await temporaryFolder();
      await using executor = make();
      const model = await executor.load(await installed(folder.path, DOUBLING));
      const wrong = { ...rowsOf([1, 2, 3, 4]), shape: [4, 1, 1] };
      await rejects(model.run(asking(wrong)), FractoryError, {
        code: status.INVALID_ARGUMENT,
        reason: 'BAD_TENSOR',
      });
      assert.equal(await numbersFrom(model, asking(rowsOf([0, 0, 0, 0]))), [1, 1, 1, 1]);
    });
  });

  suite(`${subject}: what is refused`, (test) => {
    test('more requests than max_queued are QUEUE_FULL, and told when to come again', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1, max_queued: 3 });
      const model = await executor.load(await installed(folder.path, MULTIPLYING));
      const results = await Promise.allSettled(
        Array.from({ length: 5 }, () => model.run(asking(square(300)))),
      );
      const refused = results.filter((result) => result.status === 'rejected');
      assert.is(refused.length, 2);
      const error = refused[0]?.reason as FractoryError;
      assert.equal([error.code, error.reason], [status.RESOURCE_EXHAUSTED, 'QUEUE_FULL']);
      assert.ok((error.retryAfterMs ?? 0) > 0);
      await model.run(asking(square(10)));
    });

    test('outputs that are larger than max_output_bytes fail, and only for who asked for them', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1, max_output_bytes: 32 });
      const model = await executor.load(
        await installed(folder.path, DOUBLING, { fixed: { maxBatch: 4 } }),
      );
      const row = [1, 2, 3, 4];
      const results = await Promise.allSettled(
        [1, 1, 3, 2].map((count) =>
          model.run(asking(rowsOf(...Array.from({ length: count }, () => row)))),
        ),
      );
      assert.equal(
        results.map(({ status: outcome }) => outcome),
        ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
      );
      const alone = model.run(asking(rowsOf(row, row, row)));
      const error = await rejects(alone, FractoryError, {
        ...{ code: status.RESOURCE_EXHAUSTED, reason: 'LIMIT_EXCEEDED' },
      });
      assert.is(error.message, 'size of the outputs is 48, the limit max_output_bytes is 32');
    });

    test('so do texts, each with its length', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1, max_output_bytes: 11 });
      const model = await executor.load(await installed(folder.path, passing('BYTES', [-1])));
      const texts = (...lengths: readonly number[]): NamedTensor => {
        const data = joinBytes(lengths.map((length) => new Uint8Array(length).fill(65)));
        return { name: 'x', datatype: 'BYTES', shape: [lengths.length], data };
      };
      const { outputs } = await model.run(asking(texts(1, 2)));
      assert.is(outputs[0]?.data.length, 11);
      await rejects(model.run(asking(texts(2, 2))), FractoryError, { reason: 'LIMIT_EXCEEDED' });
    });

    test('what can not be answered in time is refused at once, with the figures', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1 });
      const model = await executor.load(await installed(folder.path, MULTIPLYING));
      await model.run(asking(square(800)));
      const running = Array.from({ length: 4 }, () => model.run(asking(square(800))));
      const error = await rejects(
        model.run(asking(square(800), { deadlineMs: Date.now() + 5 })),
        FractoryError,
        { code: status.DEADLINE_EXCEEDED, reason: 'CANT_MAKE_DEADLINE' },
      );
      assert.match(error.message, /needs about [\d.]+ ms.*[\d.]+ ms are left/);
      assert.is((await Promise.all(running)).length, 4);
    });

    test('a cancelled request ends with its reason, and the next one works', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1 });
      const model = await executor.load(await installed(folder.path, MULTIPLYING));
      const controller = new AbortController();
      const { signal } = controller;
      const all = Array.from({ length: 3 }, () => model.run(asking(square(400), { signal })));
      const reason = new Error('enough');
      controller.abort(reason);
      for (const result of await Promise.allSettled(all))
        assert.is((result as PromiseRejectedResult).reason, reason);
      await model.run(asking(square(10)));
    });

    test('a run past max_compute_ms is ended, and the model goes on serving', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1, max_compute_ms: 100 });
      const model = await executor.load(await installed(folder.path, MULTIPLYING));
      const error = await rejects(model.run(asking(square(2500))), FractoryError, {
        reason: 'DEADLINE_EXCEEDED',
      });
      assert.is(error.metadata['limit'], 'max_compute_ms');
      await model.run(asking(square(10)));
    });
  });

  suite(`${subject}: loading and unloading`, (test) => {
    const corrupt = { code: status.FAILED_PRECONDITION, reason: 'MODEL_CORRUPT' } as const;

    test('what has another hash, is no ONNX or is gone is MODEL_CORRUPT', async () => {
      await using folder = await temporaryFolder();
      await using executor = make();
      const source = await installed(folder.path, DOUBLING);
      const other = await rejects(
        executor.load({ ...source, sha256: '0'.repeat(64) }),
        FractoryError,
        corrupt,
      );
      assert.match(other.message, /small version 1 .*SHA-256/);
      await writeFile(source.file, 'no model');
      const sha256 = 'fe4f0ce35d2c6c5ad0bd9aa8d5da6b6ab6cd6ea2eaed2d7c4fd9e4be0ab3dc1d';
      await rejects(executor.load({ ...source, sha256 }), FractoryError, corrupt);
      await rm(source.file);
      const gone = await rejects(executor.load(source), FractoryError, corrupt);
      assert.match(gone.message, /ENOENT/);
    });

    test('an operator that the runtime does not have, or an output that is missing, is MODEL_CORRUPT', async () => {
      await using folder = await temporaryFolder();
      await using executor = make();
      const strange = {
        ...DOUBLING,
        nodes: [{ type: 'Teleport', inputs: ['x'], outputs: ['y'] }],
      };
      const error = await rejects(
        executor.load(await installed(folder.path, strange)),
        FractoryError,
        corrupt,
      );
      assert.match(error.message, /Teleport/);
      assert.not.match(error.message, /\n/);
      const source = await installed(folder.path, DOUBLING, {
        extraOutput: { name: 'nowhere' },
      });
      await rejects(executor.load(source), FractoryError, corrupt);
    });

    test('an inner tensor can be asked for like an output', async () => {
      await using folder = await temporaryFolder();
      await using executor = make();
      const model = await executor.load(
        await installed(folder.path, DOUBLING, { extraOutput: { name: 'doubled' } }),
      );
      const request = asking(rowsOf([1, 2, 3, 4]), { outputs: ['doubled', 'y'] });
      const { outputs } = await model.run(request);
      assert.equal(
        outputs.map(({ name, data }) => [name, ...new Float32Array(data.slice().buffer)]),
        [
          ['doubled', 2, 4, 6, 8],
          ['y', 3, 5, 7, 9],
        ],
      );
    });

    test('unloading lets what is under way end, then refuses', async () => {
      await using folder = await temporaryFolder();
      await using executor = make({ workers: 1 });
      const model = await executor.load(await installed(folder.path, MULTIPLYING));
      const running = Array.from({ length: 5 }, () => model.run(asking(square(200))));
      const unloading = model.unload();
      await rejects(model.run(asking(square(10))), FractoryError, { reason: 'MODEL_UNLOADED' });
      await unloading;
      assert.is((await Promise.all(running)).length, 5);
      await model.unload();
    });

    test('counts survive unloading and loading again', async () => {
      await using folder = await temporaryFolder();
      await using executor = make();
      const source = await installed(folder.path, DOUBLING);
      for (let round = 0; round < 2; round++) {
        const model = await executor.load(source);
        await model.run(asking(rowsOf([1, 2, 3, 4])));
        await model.unload();
      }
      executor.decoded('small', 1, 17);
      const counts = executor.counts('small', 1);
      assert.equal([counts.requests, counts.runs, counts.decodeUs], [2, 2, 17]);
      assert.equal([counts.underWay, counts.failures], [0, 0]);
      assert.ok(counts.lastUsedMs > 0 && counts.computeUs > 0);
      assert.is(executor.counts('other', 1).requests, 0);
    });

    test('disposing fails what is under way with NODE_STOPPING', async () => {
      await using folder = await temporaryFolder();
      const executor = make({ workers: 1 });
      const model = await executor.load(await installed(folder.path, MULTIPLYING));
      const running = Array.from({ length: 3 }, () => model.run(asking(square(300))));
      const results = Promise.allSettled(running);
      await executor[Symbol.asyncDispose]();
      for (const result of await results)
        assert.is(
          ((result as PromiseRejectedResult).reason as FractoryError).reason,
          'NODE_STOPPING',
        );
      await rejects(model.run(asking(square(10))), FractoryError, { reason: 'NODE_STOPPING' });
    });
  });
}
