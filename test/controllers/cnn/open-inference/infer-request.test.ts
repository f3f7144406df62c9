import { status } from '@grpc/grpc-js';

import { readInferRequest } from '../../../../controllers/cnn/open-inference/infer-request.js';
import type {
  InferParameter,
  ModelInferRequest,
} from '../../../../protos/gen/inference/grpc_service.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, suite, throws } from '../../../suite.js';
import { inferRequest, input, noContents, rawInput } from './fixture.js';

const int64 = (value: bigint): InferParameter => ({
  parameterChoice: { $case: 'int64Param', value },
});
const bool = (value: boolean): InferParameter => ({
  parameterChoice: { $case: 'boolParam', value },
});
const text: InferParameter = { parameterChoice: { $case: 'stringParam', value: 'region' } };
const eight = new Uint8Array(8);

suite('a request to infer', (test) => {
  test('is read with typed contents', () => {
    const read = readInferRequest(
      inferRequest({
        modelVersion: '12',
        id: 'mine',
        inputs: [
          input(),
          input({ name: 'more', contents: { ...noContents, fp32Contents: [1, 2] } }),
        ],
        outputs: [
          { name: 'b', parameters: {} },
          { name: 'a', parameters: {} },
        ],
      }),
    );
    assert.equal(
      [read.model, read.version, read.id, read.outputs, read.wantsRaw, read.timeoutMs],
      ['echo', 12, 'mine', ['b', 'a'], false, undefined],
    );
    assert.equal(
      read.inputs.map(({ name, datatype, shape }) => [name, datatype, shape]),
      [
        ['pixels', 'FP32', [1, 2]],
        ['more', 'FP32', [1, 2]],
      ],
    );
    const data = read.inputs[0]?.data ?? eight;
    assert.equal(Buffer.from(data), Buffer.from(Float32Array.of(1.5, 2.5).buffer));
  });

  test('is read with raw contents, in the order of the inputs', () => {
    const [first, second] = [Uint8Array.of(1, 2), Uint8Array.of(3)];
    const read = readInferRequest(
      inferRequest({
        inputs: [
          rawInput({ name: 'half', datatype: 'FP16', shape: [1n] }),
          // Some clients send contents without elements.
          input({ name: 'byte', datatype: 'UINT8', shape: [], contents: noContents }),
        ],
        rawInputContents: [first, second],
      }),
    );
    assert.equal(
      read.inputs.map(({ name, data }) => [name, data]),
      [
        ['half', first],
        ['byte', second],
      ],
    );
    assert.is(read.wantsRaw, true);
  });

  test('may ask for raw contents, or typed ones, whatever it brings', () => {
    const parameters = (value: boolean) => ({ binary_data_output: bool(value) });
    assert.is(readInferRequest(inferRequest({ parameters: parameters(true) })).wantsRaw, true);
    const raw = { inputs: [rawInput()], rawInputContents: [eight] };
    const typed = inferRequest({ ...raw, parameters: parameters(false) });
    assert.is(readInferRequest(typed).wantsRaw, false);
  });

  test('may have no version, parameters of other servers, and less time', () => {
    for (const modelVersion of ['', undefined])
      assert.is(readInferRequest(inferRequest({ modelVersion })).version, 0);
    const parameters = {
      ...{ priority: int64(1n), sequence_id: int64(4n), sequence_start: bool(true), mine: text },
      timeout: int64(1_500n),
    };
    assert.is(readInferRequest(inferRequest({ parameters })).timeoutMs, 1.5);
    const none = { timeout: int64(0n) };
    assert.is(readInferRequest(inferRequest({ parameters: none })).timeoutMs, undefined);
  });

  test('may have a tensor without elements', () => {
    const shape = [0n, 3n];
    const typed = readInferRequest(inferRequest({ inputs: [rawInput({ shape })] }));
    assert.is(typed.inputs[0]?.data.length, 0);
    const raw = { inputs: [rawInput({ shape })], rawInputContents: [new Uint8Array()] };
    assert.is(readInferRequest(inferRequest(raw)).wantsRaw, true);
  });

  const rows: readonly (readonly [string, Partial<ModelInferRequest>, RegExp])[] = [
    ['without a model', { modelName: '' }, /^model_name: is empty/],
    ['with a version that is no number', { modelVersion: 'latest' }, /^model_version: .*"latest"/],
    ['with version 0', { modelVersion: '0' }, /from 1 up/],
    ['with a negative version', { modelVersion: '-1' }, /from 1 up/],
    ['with a version padded by zeros', { modelVersion: '01' }, /from 1 up/],
    [
      'with raw contents for fewer inputs than there are',
      { inputs: [rawInput(), rawInput({ name: 'b' })], rawInputContents: [eight] },
      /^raw_input_contents: .*2 inputs, found 1/,
    ],
    [
      'with raw contents for more inputs than there are',
      { inputs: [rawInput()], rawInputContents: [eight, eight] },
      /1 inputs, found 2/,
    ],
    [
      'with raw and typed contents',
      { inputs: [rawInput(), input({ name: 'b' })], rawInputContents: [eight, eight] },
      /^inputs\[1\]\.contents: .*one or the other/,
    ],
    [
      'with an input without a name',
      { inputs: [input({ name: '' })] },
      /inputs\[0\]\.name: is empty/,
    ],
    [
      'with the same input twice',
      { inputs: [input(), input()] },
      /^inputs\[pixels\]: is there twice/,
    ],
    ['with an unknown datatype', { inputs: [input({ datatype: 'FP31' })] }, /did you mean FP3/],
    ['without a datatype', { inputs: [input({ datatype: '' })] }, /expected one of BOOL/],
    ['with a datatype in small letters', { inputs: [input({ datatype: 'fp32' })] }, /"fp32" is no/],
    [
      'with a negative shape',
      { inputs: [input({ shape: [-1n, 2n] })] },
      /\[-1,2\] has the size -1/,
    ],
    [
      'with a shape of two negative sizes',
      { inputs: [input({ shape: [-1n, -2n] })] },
      /has the size -1/,
    ],
    [
      'with a shape beyond all numbers',
      { inputs: [input({ shape: [1n << 62n, 1n << 62n] })] },
      /expected 0 or more|bytes, found/,
    ],
    [
      'with fewer elements than the shape has',
      { inputs: [input({ shape: [3n] })] },
      /shape \[3\] of FP32 is 12 bytes, found 8/,
    ],
    [
      'with more elements than the shape has',
      { inputs: [input({ shape: [] })] },
      /4 bytes, found 8/,
    ],
    ['with no elements where there should be some', { inputs: [rawInput()] }, /8 bytes, found 0/],
    [
      'with raw bytes that the shape does not have',
      { inputs: [rawInput()], rawInputContents: [eight.subarray(1)] },
      /8 bytes, found 7/,
    ],
    [
      'with a raw BOOL that is none',
      {
        inputs: [rawInput({ datatype: 'BOOL', shape: [2n] })],
        rawInputContents: [Uint8Array.of(1, 2)],
      },
      /element 1 is 2, a BOOL is 0 or 1/,
    ],
    [
      'with raw BYTES that end too early',
      {
        inputs: [rawInput({ datatype: 'BYTES', shape: [1n] })],
        rawInputContents: [Uint8Array.of(2, 0, 0, 0, 65)],
      },
      /within element 0 of BYTES/,
    ],
    [
      'with raw BYTES that end within a length',
      {
        inputs: [rawInput({ datatype: 'BYTES', shape: [1n] })],
        rawInputContents: [Uint8Array.of(0, 0, 0)],
      },
      /within element 0 of BYTES/,
    ],
    [
      'with fewer BYTES elements than the shape has',
      {
        inputs: [rawInput({ datatype: 'BYTES', shape: [2n] })],
        rawInputContents: [Uint8Array.of(1, 0, 0, 0, 65)],
      },
      /shape \[2\] is 2 elements, found 1/,
    ],
    [
      'with typed FP16',
      { inputs: [input({ datatype: 'FP16' })] },
      /^inputs\[pixels\]: FP16 travels in raw_input_contents only/,
    ],
    ['with an output without a name', { outputs: [{ name: '', parameters: {} }] }, /outputs\[0\]/],
    [
      'with the same output twice',
      { outputs: ['a', 'a'].map((name) => ({ name, parameters: {} })) },
      /^outputs\[a\]: is asked for twice/,
    ],
    ['with a timeout that is text', { parameters: { timeout: text } }, /^parameters\.timeout/],
    ['with a negative timeout', { parameters: { timeout: int64(-1n) } }, /0 or more/],
    [
      'with a choice of contents that is text',
      { parameters: { binary_data_output: text } },
      /expected a bool_param/,
    ],
  ];
  for (const [what, changes, message] of rows)
    test(`${what} is refused`, () => {
      const error = throws(() => readInferRequest(inferRequest(changes)), FractoryError, {
        code: status.INVALID_ARGUMENT,
      });
      assert.match(error.message, message);
      assert.is(error.violations.length, 1);
      assert.not.match(error.message, /\n/);
    });

  test('for an extension that would change the answer is refused, not misunderstood', () => {
    const shared = { shared_memory_region: text };
    const cases: readonly (readonly [Partial<ModelInferRequest>, string])[] = [
      [{ inputs: [input({ parameters: shared })] }, 'shared_memory_region'],
      [{ outputs: [{ name: 'a', parameters: shared }] }, 'shared_memory_region'],
      [{ outputs: [{ name: 'a', parameters: { classification: int64(3n) } }] }, 'classification'],
    ];
    for (const [changes, parameter] of cases) {
      const error = throws(() => readInferRequest(inferRequest(changes)), FractoryError, {
        code: status.UNIMPLEMENTED,
        reason: 'UNSUPPORTED_PARAMETER',
      });
      assert.match(error.message, new RegExp(parameter));
    }
  });
});
