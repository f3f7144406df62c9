import fc from 'fast-check';

import { elementCount, numbersOf, tensorOf } from '../../protos/tensors.js';
import { FractoryError } from '../../runtime/errors.js';
import { assert, suite, throws } from '../suite.js';

suite('tensors', (test) => {
  const rows: readonly (readonly [string, number[], number[]])[] = [
    ['BOOL', [0, 1, 2], [0, 1, 1]],
    ['UINT8', [255], [255]],
    ['INT8', [255], [-1]],
    ['UINT16', [0x34, 0x12], [0x1234]],
    ['INT16', [0xfe, 0xff], [-2]],
    ['UINT32', [0, 0, 0, 0x80], [2 ** 31]],
    ['INT32', [0, 0, 0, 0x80], [-(2 ** 31)]],
    ['UINT64', [0, 0, 0, 0, 1, 0, 0, 0], [2 ** 32]],
    ['INT64', [255, 255, 255, 255, 255, 255, 255, 255], [-1]],
    ['FP32', [0, 0, 0xc0, 0x3f], [1.5]],
    ['FP64', [0, 0, 0, 0, 0, 0, 0xf8, 0x3f], [1.5]],
    // One, the largest, the smallest above 0, minus infinity.
    ['FP16', [0, 0x3c, 0xff, 0x7b, 1, 0, 0, 0xfc], [1, 65504, 2 ** -24, -Infinity]],
    ['BF16', [0x80, 0x3f, 0x49, 0x40], [1, 3.140625]],
  ];
  for (const [datatype, data, numbers] of rows)
    test(`of ${datatype} are read as numbers`, () => {
      const shape = [BigInt(numbers.length)];
      // Wherever the bytes lie: here at an odd address.
      const bytes = Uint8Array.from([9, ...data]).subarray(1);
      assert.equal(Array.from(numbersOf({ datatype, shape, data: bytes })), numbers);
    });

  test('NaN stays NaN', () => {
    for (const [datatype, data] of [
      ['FP16', [1, 0x7e]],
      ['BF16', [0xc1, 0x7f]],
    ] as const) {
      const tensor = { datatype, shape: [1n], data: Uint8Array.from(data) };
      assert.ok(Number.isNaN(numbersOf(tensor)[0]), datatype);
    }
  });

  test('come back as the numbers that they were made of', () => {
    fc.assert(
      fc.property(fc.array(fc.double()), (numbers) => {
        const back = numbersOf(tensorOf('FP64', [numbers.length], numbers));
        assert.ok(numbers.every((number, index) => Object.is(number, back[index])));
      }),
    );
    for (const datatype of ['UINT8', 'INT8', 'INT32', 'INT64', 'FP32'] as const)
      assert.equal(Array.from(numbersOf(tensorOf(datatype, [2, 1], [1, 100]))), [1, 100]);
    assert.equal(Array.from(numbersOf(tensorOf('BOOL', [2], [0, 7]))), [0, 1]);
  });

  test('whose bytes are not what the shape says, or are no numbers, are refused', () => {
    const data = new Uint8Array(4);
    for (const shape of [[2n], [0n], [-1n], [-1n, -1n], [1n << 62n, 4n]])
      throws(() => numbersOf({ datatype: 'FP32', shape, data }), FractoryError, {
        reason: 'BAD_TENSOR',
      });
    for (const datatype of ['BYTES', 'fp32', '', 'constructor'])
      throws(() => numbersOf({ datatype, shape: [1n], data }), FractoryError, {
        reason: 'NOT_NUMBERS',
      });
    throws(() => tensorOf('FP32', [3], [1, 2]), FractoryError, { reason: 'BAD_TENSOR' });
    assert.is(elementCount([]), 1);
    assert.is(elementCount([2, 0, 5]), 0);
  });
});
