import { status } from '@grpc/grpc-js';

import { readInferBytes } from '../../../../controllers/cnn/open-inference/infer-bytes.js';
import { ModelInferRequest } from '../../../../protos/gen/inference/grpc_service.js';
import type { InferTensorContents } from '../../../../protos/gen/inference/grpc_service.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, suite } from '../../../suite.js';
import { noContents } from './fixture.js';

const MOST = 100;

function bytesOf(
  contents: Partial<InferTensorContents>,
  request: Partial<ModelInferRequest> = {},
): Uint8Array {
  const input = { name: 'x', datatype: 'FP32', shape: [1n], parameters: {} };
  return ModelInferRequest.encode(
    ModelInferRequest.fromPartial({
      ...{ modelName: 'm', inputs: [{ ...input, contents: { ...noContents, ...contents } }] },
      ...request,
    }),
  ).finish();
}

function refused(bytes: Uint8Array): boolean {
  const read = readInferBytes(bytes, MOST);
  if (!(read instanceof FractoryError)) return false;
  assert.is(read.code, status.RESOURCE_EXHAUSTED);
  assert.is(read.metadata['limit'], 'max_typed_elements');
  return true;
}

suite('the bytes of a request to infer', (test) => {
  const fillings: readonly (readonly [string, (count: number) => Partial<InferTensorContents>])[] =
    [
      ['truth values', (length) => ({ boolContents: Array.from({ length }, () => true) })],
      ['integers', (length) => ({ intContents: Array.from({ length }, () => -1) })],
      ['big integers', (length) => ({ uint64Contents: Array.from({ length }, () => 2n ** 63n) })],
      ['numbers', (length) => ({ fp32Contents: Array.from({ length }, () => 0.5) })],
      ['large numbers', (length) => ({ fp64Contents: Array.from({ length }, () => 0.5) })],
      ['byte strings', (length) => ({ bytesContents: Array.from({ length }, () => Buffer.of()) })],
    ];
  for (const [what, contents] of fillings)
    test(`are refused before they become more ${what} than max_typed_elements`, () => {
      assert.not.ok(refused(bytesOf(contents(MOST / 2))));
      assert.ok(refused(bytesOf(contents(MOST + 1))));
    });

  test('are refused for too many inputs, outputs and dimensions too', () => {
    const outputs = Array.from({ length: MOST + 1 }, () => ({ name: '', parameters: {} }));
    assert.ok(refused(bytesOf({}, { outputs })));
    const shape = Array.from({ length: MOST + 1 }, () => 1n);
    const inputs = [{ name: 'x', datatype: 'FP32', shape, parameters: {}, contents: undefined }];
    assert.ok(refused(bytesOf({}, { inputs })));
  });

  test('may be raw and as large as they like, whatever is in them', () => {
    const rawInputContents = [Buffer.alloc(10_000, 8), Buffer.alloc(10_000)];
    assert.not.ok(
      refused(bytesOf({ bytesContents: [Buffer.alloc(5000, 8)] }, { rawInputContents })),
    );
  });

  test('that are no message end', () => {
    for (const bytes of [
      Buffer.alloc(50, 0xff),
      Buffer.from([0x2a, 0xff, 0xff, 0xff, 0xff, 0x7f, 1]),
    ])
      assert.throws(() => readInferBytes(bytes, MOST));
  });
});
