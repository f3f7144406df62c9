import fc from 'fast-check';

import { status } from '@grpc/grpc-js';

import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { tensorOf } from '../../../protos/tensors.js';
import {
  integerValue,
  listValue,
  numberValue,
  tensorValue,
  textValue,
} from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { mathAdaptor } from '../../../services/math/adaptor.js';
import { cosine } from '../../../services/math/cosine.js';
import { DEFAULT_MATH_LIMITS } from '../../../services/math/limits.js';
import { MathService } from '../../../services/math/service.js';
import { assert, suite, throws } from '../../suite.js';
import { performed } from '../performed.js';

const vector = (...numbers: number[]): Float64Array => Float64Array.from(numbers);
const list = (...numbers: number[]): Value => listValue(numbers.map(numberValue));
const fp32 = (...numbers: number[]): Value =>
  tensorValue(tensorOf('FP32', [1, numbers.length], numbers));

async function similarity(a: Value, b: Value, limits = DEFAULT_MATH_LIMITS): Promise<unknown> {
  await using math = new MathService(limits);
  const value = await performed(mathAdaptor(math).operations, 'math.cosine', { a, b });
  return (value as Value).kind?.value;
}

suite('math.cosine', (test) => {
  const rows: readonly (readonly [string, Value, Value, number])[] = [
    ['the same direction', list(1, 2, 3), list(2, 4, 6), 1],
    ['opposite directions', list(1, 2), list(-3, -6), -1],
    ['a right angle', list(1, 0), list(0, 5), 0],
    ['half a right angle', list(1, 0), list(1, 1), Math.SQRT1_2],
    ['tensors of any shape', fp32(3, 4), fp32(4, 3), 24 / 25],
    ['a tensor and a list', fp32(3, 4), list(4, 3), 24 / 25],
    ['integers', listValue([integerValue(3n), integerValue(4n)]), list(4, 3), 24 / 25],
    ['numbers too large to be squared', list(1e300, 1e300), list(1e300, 0), Math.SQRT1_2],
    ['numbers too small to be squared', list(5e-324, 0), list(5e-324, 0), 1],
  ];
  for (const [name, a, b, expected] of rows)
    test(`of ${name} is ${expected.toFixed(3)}`, async () => {
      const found = await similarity(a, b);
      assert.ok(Math.abs(Number(found) - expected) < 1e-12, String(found));
    });

  const bad: readonly (readonly [string, Value, Value, string])[] = [
    ['a vector of zeros', list(0, 0), list(1, 1), 'ZERO_VECTOR'],
    ['a vector without elements', list(), list(), 'ZERO_VECTOR'],
    ['vectors of different lengths', list(1), list(1, 2), 'LENGTHS_DIFFER'],
    ['NaN', fp32(NaN, 1), fp32(1, 1), 'NOT_NUMBERS'],
    ['infinity', fp32(1, 1), fp32(1, -Infinity), 'NOT_NUMBERS'],
    ['text in a list', listValue([textValue('1')]), list(1), 'NOT_NUMBERS'],
    [
      'a tensor of BYTES',
      tensorValue({ datatype: 'BYTES', shape: [0n], data: new Uint8Array() }),
      list(1),
      'NOT_NUMBERS',
    ],
    [
      'a tensor with a byte too few',
      tensorValue({ datatype: 'FP32', shape: [1n], data: new Uint8Array(3) }),
      list(1),
      'BAD_TENSOR',
    ],
  ];
  for (const [name, a, b, reason] of bad)
    test(`of ${name} is refused`, async () => {
      const failure = await similarity(a, b).catch((error: unknown) => error);
      assert.instance(failure, FractoryError);
      const error = failure as FractoryError;
      assert.equal([error.code, error.reason], [status.INVALID_ARGUMENT, reason]);
      assert.not.match(error.message, /\n/);
    });

  test('keeps to the limits of the node', async () => {
    const limits = { ...DEFAULT_MATH_LIMITS, max_elements: 2, max_content_bytes: 8 };
    for (const [a, limit] of [
      [list(1, 2, 3), 'max_elements'],
      [fp32(1, 2, 3), 'max_content_bytes'],
    ] as const) {
      const failure = await similarity(a, a, limits).catch((error: unknown) => error);
      assert.match((failure as FractoryError).message, new RegExp(limit));
    }
  });

  test('is between -1 and 1, the same both ways, and does not depend on length', () => {
    const numbers = fc.array(fc.double({ noNaN: true, min: -1e100, max: 1e100 }), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(numbers, numbers, (left, right) => {
        const length = Math.min(left.length, right.length);
        const [a, b] = [vector(...left.slice(0, length)), vector(...right.slice(0, length))];
        fc.pre(a.some((x) => x !== 0) && b.some((x) => x !== 0));
        const value = cosine(a, b) as number;
        assert.ok(value >= -1 && value <= 1);
        assert.is(cosine(b, a), value);
        assert.ok(
          Math.abs(
            (cosine(
              a,
              b.map((x) => x * 3),
            ) as number) - value,
          ) < 1e-9,
        );
        assert.ok((cosine(a, a) as number) > 1 - 1e-12);
      }),
    );
  });

  test('of long vectors is computed in turns, and ends with its call', async () => {
    const long = new Float64Array(1_200_001).fill(2);
    const other = long.map((_, index) => (index % 2 === 0 ? 1 : -1));
    assert.ok(Math.abs((await cosine(long, other)) - 1 / long.length) < 1e-9);
    const controller = new AbortController();
    const cut = Promise.resolve(cosine(long, other, { signal: controller.signal }));
    controller.abort(new Error('enough'));
    const failure = await cut.catch((error: unknown) => error);
    assert.is((failure as Error).message, 'enough');
    throws(() => cosine(long, vector(1)), FractoryError, { reason: 'LENGTHS_DIFFER' });
  });
});
