import { status } from '@grpc/grpc-js';

import { inferResponse } from '../../../../controllers/cnn/open-inference/infer-response.js';
import { indexEntry, statisticsOf } from '../../../../controllers/cnn/open-inference/repository.js';
import type {
  ModelInferResponse,
  ModelMetadataResponse,
  ModelStatisticsResponse,
  RepositoryIndexResponse,
} from '../../../../protos/gen/inference/grpc_service.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { VERSION } from '../../../../runtime/version.js';
import type { NamedTensor } from '../../../../services/cnn/tensors/tensor.js';
import { assert, rejects, suite } from '../../../suite.js';
import {
  EchoModels,
  call,
  handle,
  inferRequest,
  input,
  noContents,
  noCounts,
  rawInput,
  version,
} from './fixture.js';

const versions = [
  version('echo', 1, 'ready'),
  version('echo', 2, 'unloaded'),
  version('other', 7, 'model.onnx is missing'),
];

suite('inference.GRPCInferenceService', (test) => {
  test('is live; and ready where a model is, or there is none yet', async () => {
    const ready = async (models: EchoModels): Promise<unknown> => handle(models, 'serverReady', {});
    assert.equal(await handle(new EchoModels([]), 'serverLive', {}), { live: true });
    assert.equal(await ready(new EchoModels([])), { ready: true });
    assert.equal(await ready(new EchoModels(versions)), { ready: true });
    assert.equal(await ready(new EchoModels(versions.slice(1))), { ready: false });
  });

  test('tells whether a model is ready, also of one that does not exist', async () => {
    const models = new EchoModels(versions);
    const rows = [
      ['echo', undefined, true],
      ['echo', '', true],
      ['echo', '1', true],
      ['echo', '2', false],
      ['echo', '3', false],
      ['other', '', false],
      ['nobody', '', false],
    ] as const;
    for (const [name, number, ready] of rows)
      assert.equal(await handle(models, 'modelReady', { name, version: number }), { ready });
    for (const request of [{ name: '' }, { name: 'echo', version: 'one' }])
      await rejects(handle(models, 'modelReady', request), FractoryError, {
        code: status.INVALID_ARGUMENT,
      });
  });

  test('tells what it is', async () => {
    assert.equal(await handle(new EchoModels(), 'serverMetadata', {}), {
      name: 'fractory',
      version: VERSION,
      extensions: ['model_repository', 'statistics'],
    });
  });

  test('tells what a model takes and yields', async () => {
    const models = new EchoModels();
    const request = { name: 'echo', version: '2' };
    assert.equal(await handle<ModelMetadataResponse>(models, 'modelMetadata', request), {
      name: 'echo',
      versions: ['2', '10'],
      platform: 'onnx_onnxv1',
      inputs: [{ name: 'pixels', datatype: 'FP32', shape: [-1n, 3n] }],
      outputs: [{ name: 'label', datatype: 'BYTES', shape: [-1n] }],
      properties: { opset: '17', producer: 'a test', summary: 'echoes' },
    });
    assert.equal(models.done, ['describe echo 2']);
  });

  test('answers typed contents with typed ones and raw with raw, and echoes the id', async () => {
    const models = new EchoModels();
    const typed = await handle<ModelInferResponse>(
      models,
      'modelInfer',
      inferRequest({ id: 'mine' }),
    );
    assert.equal(typed, {
      ...{ modelName: 'echo', modelVersion: '3', id: 'mine', parameters: {} },
      outputs: [input()],
      rawOutputContents: [],
    });
    const data = new Uint8Array(Float32Array.of(3, 4).buffer);
    const request = inferRequest({ inputs: [rawInput()], rawInputContents: [data] });
    const raw = await handle<ModelInferResponse>(models, 'modelInfer', request);
    assert.equal([raw.outputs[0]?.contents, raw.rawOutputContents], [undefined, [data]]);
    assert.is(raw.id, '');
  });

  test('hands on what is asked for, and until when', async () => {
    const models = new EchoModels();
    const outputs = [{ name: 'label', parameters: {} }];
    const timeout = { parameterChoice: { $case: 'int64Param', value: 2_000_000n } } as const;
    const before = Date.now();
    await handle(models, 'modelInfer', inferRequest({ modelVersion: '1', outputs }));
    await handle(models, 'modelInfer', inferRequest({ parameters: { timeout } }));
    const [first, second] = models.asked;
    assert.equal([first?.model, first?.version, first?.outputs], ['echo', 1, ['label']]);
    assert.is(first?.signal, call.signal);
    const left = models.asked.map(({ deadlineMs }) => deadlineMs - before);
    assert.ok(left[0]! >= 10_000 && left[0]! < 12_000, String(left));
    assert.ok(left[1]! >= 2000 && left[1]! < 4000, String(left));
    assert.is(second?.version, 0);
  });

  test('answers raw where one of the outputs has no typed form', () => {
    const output = (datatype: NamedTensor['datatype'], size: number): NamedTensor => ({
      ...{ name: datatype, datatype, shape: [1] },
      data: new Uint8Array(size),
    });
    const answer = { model: 'echo', version: 1, outputs: [output('FP32', 4), output('BF16', 2)] };
    const { outputs, rawOutputContents } = inferResponse({ id: '', wantsRaw: false }, answer);
    assert.equal(
      rawOutputContents.map(({ length }) => length),
      [4, 2],
    );
    assert.ok(outputs.every(({ contents }) => contents === undefined));
    const typed = inferResponse(
      { id: '', wantsRaw: false },
      { ...answer, outputs: [output('BOOL', 1)] },
    );
    assert.equal(typed.outputs[0]?.contents, { ...noContents, boolContents: [false] });
  });

  test('lists the repository: what is ready, and why the rest is not', async () => {
    const models = new EchoModels(versions);
    const index = (ready: boolean, repositoryName = ''): Promise<RepositoryIndexResponse> =>
      handle(models, 'repositoryIndex', { ready, repositoryName });
    assert.equal((await index(false)).models, [
      { name: 'echo', version: '1', state: 'READY', reason: '' },
      { name: 'echo', version: '2', state: 'UNAVAILABLE', reason: 'unloaded' },
      { name: 'other', version: '7', state: 'UNAVAILABLE', reason: 'model.onnx is missing' },
    ]);
    assert.equal((await index(true)).models, [indexEntry(versions[0]!)]);
    await rejects(index(false, 'another'), FractoryError, { code: status.UNIMPLEMENTED });
  });

  test('loads and unloads models', async () => {
    const models = new EchoModels();
    const request = { repositoryName: '', modelName: 'echo', parameters: {} };
    assert.equal(await handle(models, 'repositoryModelLoad', request), {});
    const unload = { ...request, parameters: { unload_dependents: {} } };
    assert.equal(await handle(models, 'repositoryModelUnload', unload), {});
    assert.equal(models.done, ['load echo', 'unload echo 0']);
    const bad = [
      [{ ...request, modelName: '' }, status.INVALID_ARGUMENT],
      [{ ...request, repositoryName: 'x' }, status.UNIMPLEMENTED],
      [{ ...request, parameters: { config: {} } }, status.UNIMPLEMENTED],
      [{ ...request, parameters: { 'file:1/model.onnx': {} } }, status.UNIMPLEMENTED],
    ] as const;
    for (const method of ['repositoryModelLoad', 'repositoryModelUnload'])
      for (const [one, code] of bad)
        await rejects(handle(models, method, one), FractoryError, { code });
    assert.is(models.done.length, 2);
  });

  test('counts in nanoseconds, by batch size', () => {
    const counts = {
      ...{ ...noCounts, requests: 8, failures: 1, runs: 4, lastUsedMs: 1234 },
      ...{ queueUs: 10, decodeUs: 20, computeUs: 30.5, outputUs: 40 },
      batches: new Map([
        [4, { runs: 1, computeUs: 20 }],
        [1, { runs: 3, computeUs: 10.5 }],
      ]),
    };
    const statistics = statisticsOf({ ...versions[0]!, counts });
    assert.equal(
      [statistics.name, statistics.version, statistics.lastInference],
      ['echo', '1', 1234n],
    );
    assert.equal([statistics.inferenceCount, statistics.executionCount], [7n, 4n]);
    const { success, fail, queue, computeInput, computeInfer, computeOutput } =
      statistics.inferenceStats!;
    assert.equal(
      [success, fail, queue, computeInput, computeInfer, computeOutput].map((one) => [
        one?.count,
        one?.ns,
      ]),
      [
        [7n, 100_500n],
        [1n, 0n],
        [7n, 10_000n],
        [7n, 20_000n],
        [7n, 30_500n],
        [7n, 40_000n],
      ],
    );
    assert.equal(
      statistics.batchStats.map(({ batchSize, computeInfer: infer }) => [batchSize, infer]),
      [
        [1n, { count: 3n, ns: 10_500n }],
        [4n, { count: 1n, ns: 20_000n }],
      ],
    );
  });

  test('gives the statistics of all models, of one, or of a version', async () => {
    const models = new EchoModels(versions);
    const names = async (name: string, number: string): Promise<string[]> => {
      const request = { name, version: number };
      const answer = await handle<ModelStatisticsResponse>(models, 'modelStatistics', request);
      return answer.modelStats.map((one) => `${one.name} ${one.version}`);
    };
    assert.equal(await names('', ''), ['echo 1', 'echo 2', 'other 7']);
    assert.equal(await names('echo', ''), ['echo 1', 'echo 2']);
    assert.equal(await names('echo', '2'), ['echo 2']);
    for (const [name, number] of [
      ['nobody', ''],
      ['echo', '9'],
    ] as const)
      await rejects(names(name, number), FractoryError, { reason: 'MODEL_NOT_FOUND' });
  });
});
