import fc from 'fast-check';

import {
  hasElements,
  isTyped,
  rawFromTyped,
  typedFromRaw,
} from '../../../../controllers/cnn/open-inference/typed-contents.js';
import {
  InferTensorContents,
  ModelInferRequest,
} from '../../../../protos/gen/inference/grpc_service.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { ELEMENT_BYTES } from '../../../../protos/tensors.js';
import { checkTensor, joinBytes } from '../../../../services/cnn/tensors/data.js';
import { DATATYPES } from '../../../../services/cnn/tensors/tensor.js';
import type { Datatype } from '../../../../services/cnn/tensors/tensor.js';
import { assert, suite, throws } from '../../../suite.js';
import { noContents } from './fixture.js';

/** Any data of a datatype. */
function dataOf(datatype: Datatype): fc.Arbitrary<{ count: number; data: Uint8Array }> {
  if (datatype === 'BYTES')
    return fc
      .array(fc.uint8Array({ maxLength: 9 }), { maxLength: 9 })
      .map((elements) => ({ count: elements.length, data: joinBytes(elements) }));
  const size = ELEMENT_BYTES[datatype];
  return fc.integer({ min: 0, max: 9 }).chain((count) =>
    fc.uint8Array({ minLength: count * size, maxLength: count * size }).map((data) => ({
      count,
      data: datatype === 'BOOL' ? data.map((byte) => byte & 1) : data,
    })),
  );
}

suite('typed contents', (test) => {
  for (const datatype of DATATYPES.filter(isTyped))
    test(`of ${datatype} survive the way to the wire and back`, () => {
      fc.assert(
        fc.property(dataOf(datatype), fc.integer({ min: 0, max: 7 }), ({ count, data }, offset) => {
          // Wherever the data lies in the message that it came in.
          const placed = Buffer.concat([Buffer.alloc(offset), data]).subarray(offset);
          const tensor = { datatype, shape: [count], data: new Uint8Array(placed) };
          checkTensor(tensor, 'it');
          const wire = InferTensorContents.encode(typedFromRaw({ ...tensor, data: placed }));
          const back = rawFromTyped(datatype, InferTensorContents.decode(wire.finish()), 'it');
          assert.is(back.length, data.length);
          assert.equal(numbersOrBytes(datatype, back), numbersOrBytes(datatype, data));
        }),
      );
    });

  for (const datatype of DATATYPES)
    test(`raw data of ${datatype} is taken as it is, and not with a byte more or less`, () => {
      fc.assert(
        fc.property(dataOf(datatype), ({ count, data }) => {
          const wire = ModelInferRequest.encode(
            ModelInferRequest.fromPartial({ rawInputContents: [data] }),
          ).finish();
          const [raw] = ModelInferRequest.decode(wire).rawInputContents;
          assert.ok(raw);
          assert.equal(new Uint8Array(raw), data);
          const tensor = { datatype, shape: [count], data: raw };
          checkTensor(tensor, 'it');
          const wrong = [Buffer.concat([raw, Buffer.alloc(1)]), raw.subarray(0, raw.length - 1)];
          for (const bytes of wrong.filter(({ length }) => length !== raw.length))
            throws(
              () => {
                checkTensor({ ...tensor, data: bytes }, 'it');
              },
              FractoryError,
              {
                reason: 'BAD_TENSOR',
              },
            );
        }),
      );
    });

  test('of FP16 and BF16 do not exist', () => {
    assert.equal(
      DATATYPES.filter((datatype) => !isTyped(datatype)),
      ['FP16', 'BF16'],
    );
    for (const datatype of ['FP16', 'BF16'] as const) {
      const error = throws(() => rawFromTyped(datatype, noContents, 'inputs.x'), FractoryError, {
        reason: 'BAD_TENSOR',
      });
      assert.match(error.message, /raw_input_contents/);
    }
  });

  const bad: readonly (readonly [string, Datatype, Partial<InferTensorContents>, RegExp])[] = [
    ['in the field of another datatype', 'FP32', { fp64Contents: [1] }, /fp32_contents.*fp64_/],
    ['in two fields', 'INT8', { intContents: [1], uintContents: [1] }, /uint_contents/],
    ['below the range of INT8', 'INT8', { intContents: [0, -129] }, /element 1 is -129/],
    ['above the range of INT16', 'INT16', { intContents: [32_768] }, /32768/],
    ['above the range of UINT8', 'UINT8', { uintContents: [256] }, /0 to 255/],
    ['above the range of UINT16', 'UINT16', { uintContents: [65_536] }, /65535/],
  ];
  for (const [what, datatype, contents, message] of bad)
    test(`${what} are refused`, () => {
      const given = { ...noContents, ...contents };
      const error = throws(() => rawFromTyped(datatype, given, 'inputs.x'), FractoryError, {
        reason: 'BAD_TENSOR',
      });
      assert.match(error.message, message);
      assert.match(error.message, /^inputs\.x: /);
    });

  test('that are absent or empty are no elements', () => {
    assert.is(hasElements(undefined), false);
    assert.is(hasElements(noContents), false);
    assert.is(hasElements({ ...noContents, boolContents: [false] }), true);
    assert.is(rawFromTyped('FP32', undefined, 'x').length, 0);
  });
});

/** NaNs may change their payload on the way through a number: compare what they mean. */
function numbersOrBytes(datatype: Datatype, data: Uint8Array): readonly unknown[] {
  const { buffer } = Uint8Array.from(data);
  if (datatype === 'FP32') return Array.from(new Float32Array(buffer), String);
  if (datatype === 'FP64') return Array.from(new Float64Array(buffer), String);
  return Array.from(data);
}
