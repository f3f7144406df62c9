import { status } from '@grpc/grpc-js';

import type {
  ModelInferRequest,
  ModelInferResponse,
  ModelMetadataResponse,
  RepositoryIndexResponse,
} from '../../../../protos/gen/inference/grpc_service.js';
import { FractoryError } from '../../../../runtime/errors.js';
import type { StatusCode } from '../../../../runtime/errors.js';
import { joinBytes } from '../../../../services/cnn/tensors/data.js';
import type { Datatype } from '../../../../services/cnn/tensors/tensor.js';
import { assert, rejects, suite } from '../../../suite.js';
import { openCnn, temporaryFolder } from '../../../services/cnn/fixture.js';
import { ARITHMETIC, passing, publish } from '../../../services/cnn/small-models.js';
import { handle, inferRequest, noContents, rawInput } from './fixture.js';
import { hearPython, whyNoPython } from './python-client.js';
import type { Failure } from './python-client.js';
import { serve } from './served.js';

const timeoutMs = 60_000;

/** Datatypes that ONNX Runtime's JavaScript takes: all of the protocol but BF16. */
type ServedDatatype = Exclude<Datatype, 'BF16'>;

/** Two elements of each. */
const DATA: Readonly<Record<ServedDatatype, Uint8Array>> = {
  BOOL: Uint8Array.of(1, 0),
  UINT8: Uint8Array.of(255, 0),
  INT8: Uint8Array.of(128, 127),
  UINT16: bytesOf(Uint16Array.of(65_535, 1)),
  INT16: bytesOf(Int16Array.of(-32_768, 1)),
  UINT32: bytesOf(Uint32Array.of(2 ** 32 - 1, 1)),
  INT32: bytesOf(Int32Array.of(-(2 ** 31), 1)),
  UINT64: bytesOf(BigUint64Array.of(2n ** 64n - 1n, 1n)),
  INT64: bytesOf(BigInt64Array.of(-(2n ** 63n), 1n)),
  FP16: Uint8Array.of(0, 0x3c, 0xff, 0x7b),
  FP32: bytesOf(Float32Array.of(NaN, -0)),
  FP64: bytesOf(Float64Array.of(1e300, -Infinity)),
  BYTES: joinBytes(['grün', ''].map((text) => Buffer.from(text))),
};

function bytesOf({ buffer }: { readonly buffer: ArrayBufferLike }): Uint8Array {
  return new Uint8Array(buffer);
}

const floats = (...numbers: number[]): Uint8Array => bytesOf(Float32Array.from(numbers));

/** Yields its input `x` as `y`: a matrix of any size. */
async function publishIdentity(root: string, datatype: ServedDatatype): Promise<void> {
  await publish(root, `identity-${datatype}`, passing(datatype, [-1, -1]));
}

/** a = [[1, 2]], b = [[10, 20]]. */
function arithmetic(changes: Partial<ModelInferRequest> = {}): ModelInferRequest {
  return inferRequest({
    modelName: 'arithmetic',
    inputs: [rawInput({ name: 'a' }), rawInput({ name: 'b' })],
    rawInputContents: [floats(1, 2), floats(10, 20)],
    ...changes,
  });
}

suite('the open inference protocol over models', (test) => {
  test(
    'takes and yields tensors of every datatype, without a card',
    async () => {
      await using folder = await temporaryFolder();
      const datatypes = Object.keys(DATA) as ServedDatatype[];
      for (const datatype of datatypes) await publishIdentity(folder.path, datatype);
      await using cnn = await openCnn([folder.path]);
      for (const datatype of datatypes) {
        const request = inferRequest({
          modelName: `identity-${datatype}`,
          inputs: [rawInput({ name: 'x', datatype, shape: [2n, 1n] })],
          rawInputContents: [DATA[datatype]],
        });
        const answer = await handle<ModelInferResponse>(cnn, 'modelInfer', request);
        const [output] = answer.outputs;
        assert.equal([output?.name, output?.datatype, output?.shape], ['y', datatype, [2n, 1n]]);
        assert.equal(Buffer.from(answer.rawOutputContents[0]!), Buffer.from(DATA[datatype]));
        assert.is(answer.modelVersion, '1');
        const metadata = await handle<ModelMetadataResponse>(cnn, 'modelMetadata', {
          name: request.modelName,
        });
        assert.equal(metadata.inputs, [{ name: 'x', datatype, shape: [-1n, -1n] }]);
        assert.equal(metadata.versions, ['1']);
      }
    },
    { timeoutMs },
  );

  test(
    'yields all outputs, or those that are asked for, in that order',
    async () => {
      await using folder = await temporaryFolder();
      await publish(folder.path, 'arithmetic', ARITHMETIC);
      await using cnn = await openCnn([folder.path]);
      const infer = async (...names: string[]): Promise<unknown> => {
        const outputs = names.map((name) => ({ name, parameters: {} }));
        const answer = await handle<ModelInferResponse>(cnn, 'modelInfer', arithmetic({ outputs }));
        return answer.outputs.map(({ name }, index) => {
          const data = answer.rawOutputContents[index]!;
          return [name, ...new Float32Array(Uint8Array.from(data).buffer)];
        });
      };
      const [sum, negative] = [
        ['sum', 11, 22],
        ['negative', -10, -20],
      ];
      assert.equal(await infer(), [sum, negative]);
      assert.equal(await infer('negative', 'sum'), [negative, sum]);
      assert.equal(await infer('negative'), [negative]);
      // Inputs count by name, in whatever order they come.
      const turned = arithmetic({
        inputs: [rawInput({ name: 'b' }), rawInput({ name: 'a' })],
        rawInputContents: [floats(10, 20), floats(1, 2)],
      });
      const answer = await handle<ModelInferResponse>(cnn, 'modelInfer', turned);
      assert.equal(Buffer.from(answer.rawOutputContents[0]!), Buffer.from(floats(11, 22)));
      const typed = arithmetic({
        inputs: ['a', 'b'].map((name) => ({
          ...rawInput({ name }),
          contents: { ...noContents, fp32Contents: [1, 2] },
        })),
        rawInputContents: [],
      });
      const written = await handle<ModelInferResponse>(cnn, 'modelInfer', typed);
      assert.equal(
        written.outputs.map(({ contents }) => contents?.fp32Contents),
        [
          [2, 4],
          [-1, -2],
        ],
      );
    },
    { timeoutMs },
  );

  test(
    'refuses what does not fit the model, and serves on',
    async () => {
      await using folder = await temporaryFolder();
      await publish(folder.path, 'arithmetic', ARITHMETIC);
      await using cnn = await openCnn([folder.path]);
      const eight = floats(1, 2);
      const pair = (changes: Parameters<typeof rawInput>[0]) => ({
        inputs: [rawInput({ name: 'a' }), rawInput({ name: 'b', ...changes })],
      });
      const output = { outputs: [{ name: 'product', parameters: {} }] };
      const rows: readonly (readonly [Partial<ModelInferRequest>, StatusCode, RegExp])[] = [
        [pair({ name: 'c' }), status.INVALID_ARGUMENT, /\bc\b/],
        [
          { inputs: [rawInput({ name: 'a' })], rawInputContents: [eight] },
          status.INVALID_ARGUMENT,
          /\bb\b/,
        ],
        [pair({ datatype: 'INT32' }), status.INVALID_ARGUMENT, /INT32/],
        [pair({ shape: [2n, 1n] }), status.INVALID_ARGUMENT, /\[2, ?1\]/],
        [pair({ shape: [2n] }), status.INVALID_ARGUMENT, /\[2\]/],
        [output, status.INVALID_ARGUMENT, /product/],
        [{ modelName: 'arithmetics' }, status.NOT_FOUND, /did you mean arithmetic\?/],
        [{ modelVersion: '2' }, status.NOT_FOUND, /version 2/],
      ];
      for (const [changes, code, message] of rows) {
        const work = handle(cnn, 'modelInfer', arithmetic(changes));
        const error = await rejects(work, FractoryError, { code });
        assert.match(error.message, message);
        assert.not.match(error.message, /\n/);
      }
      await handle(cnn, 'modelInfer', arithmetic());
    },
    { timeoutMs },
  );

  test(
    'unloads and loads models, and tells what it has',
    async () => {
      await using folder = await temporaryFolder();
      await publish(folder.path, 'arithmetic', ARITHMETIC);
      await using cnn = await openCnn([folder.path]);
      const named = { repositoryName: '', modelName: 'arithmetic', parameters: {} };
      const index = async (): Promise<unknown> => {
        const request = { ready: false, repositoryName: '' };
        const { models } = await handle<RepositoryIndexResponse>(cnn, 'repositoryIndex', request);
        return models.map(({ name, version, state }) => [name, version, state]);
      };
      assert.equal(await index(), [['arithmetic', '1', 'READY']]);
      await handle(cnn, 'repositoryModelUnload', named);
      assert.equal(await index(), [['arithmetic', '1', 'UNAVAILABLE']]);
      assert.equal(await handle(cnn, 'modelReady', { name: 'arithmetic' }), { ready: false });
      await rejects(handle(cnn, 'modelInfer', arithmetic()), FractoryError, {
        reason: 'MODEL_UNLOADED',
      });
      await handle(cnn, 'repositoryModelLoad', named);
      assert.equal(await handle(cnn, 'modelReady', { name: 'arithmetic' }), { ready: true });
      await handle(cnn, 'modelInfer', arithmetic());
      const nobody = { ...named, modelName: 'nobody' };
      for (const method of ['repositoryModelLoad', 'repositoryModelUnload'])
        await rejects(handle(cnn, method, nobody), FractoryError, { code: status.NOT_FOUND });
    },
    { timeoutMs },
  );

  test(
    'serves a Python client that sends what tritonclient sends',
    async () => {
      await using folder = await temporaryFolder();
      await publishIdentity(folder.path, 'FP32');
      await using cnn = await openCnn([folder.path]);
      await using server = await serve(cnn);
      const heard = await hearPython(server.address, 'identity-FP32');
      assert.equal([heard.live, heard.ready, heard.modelReady], [true, true, true]);
      assert.is(heard.unknownReady, false);
      assert.equal(heard.server.extensions, ['model_repository', 'statistics']);
      const tensors = [[['x', 'FP32', [-1, -1]]], [['y', 'FP32', [-1, -1]]]];
      assert.equal([heard.metadata.inputs, heard.metadata.outputs], tensors);
      const output = { name: 'y', datatype: 'FP32', shape: [1, 1] };
      const answer = { model: 'identity-FP32', version: '1' };
      const raw = { ...answer, outputs: [{ ...output, typed: 0 }], raw: [4] };
      assert.equal(heard.raw, { ...raw, id: 'request-1' });
      assert.equal(heard.asked, { ...raw, id: '' });
      const typed = { ...answer, id: '', outputs: [{ ...output, typed: 1 }], raw: [] };
      assert.equal(heard.typed, typed);
      assert.equal([heard.rawNumbers, heard.typedNumbers], [[0], [0]]);
      checkFailures(heard.failures);
      assert.equal(heard.index, [['identity-FP32', '1', 'READY']]);
      assert.equal([heard.unloaded, heard.loadedAgain, heard.sameAgain], [false, true, true]);
      const [statistics] = heard.statistics;
      assert.equal([heard.statistics.length, statistics?.name], [1, 'identity-FP32']);
      assert.ok((statistics?.inferences ?? 0) >= 4, JSON.stringify(statistics));
      assert.ok((statistics?.successes ?? 0) >= 4, JSON.stringify(statistics));
      assert.ok((statistics?.computeNs ?? 0) > 0, JSON.stringify(statistics));
    },
    { timeoutMs, skip: whyNoPython },
  );
});

const EXPECTED_FAILURES: Readonly<Record<string, string>> = {
  'unknown model': 'NOT_FOUND',
  'unknown version': 'NOT_FOUND',
  'version no number': 'INVALID_ARGUMENT',
  'unknown input': 'INVALID_ARGUMENT',
  'no input': 'INVALID_ARGUMENT',
  'wrong datatype': 'INVALID_ARGUMENT',
  'unknown datatype': 'INVALID_ARGUMENT',
  'wrong rank': 'INVALID_ARGUMENT',
  'negative shape': 'INVALID_ARGUMENT',
  'too few bytes': 'INVALID_ARGUMENT',
  'unknown output': 'INVALID_ARGUMENT',
  'same input twice': 'INVALID_ARGUMENT',
  'raw and typed': 'INVALID_ARGUMENT',
  'metadata of nobody': 'NOT_FOUND',
  'unloaded model': 'FAILED_PRECONDITION',
};

function checkFailures(failures: Readonly<Record<string, Failure>>): void {
  const codes = Object.entries(failures).map(([name, { code }]) => [name, code]);
  assert.equal(Object.fromEntries(codes), EXPECTED_FAILURES);
  for (const [name, { reason, details }] of Object.entries(failures)) {
    assert.match(reason, /^[A-Z_]+$/, name);
    assert.match(details, /^[^\n]+$/, name);
  }
}
