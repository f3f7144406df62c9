import fc from 'fast-check';

import {
  bytesValue,
  integerValue,
  listValue,
  numberValue,
  textValue,
} from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { OperationResult } from '../../../services/adaptor.js';
import { mathAdaptor } from '../../../services/math/adaptor.js';
import { DEFAULT_MATH_LIMITS } from '../../../services/math/limits.js';
import { MathService } from '../../../services/math/service.js';
import { splitRange } from '../../../services/math/sums.js';
import { assert, rejects, suite } from '../../suite.js';
import { performed } from '../performed.js';

async function perform(
  math: MathService,
  name: string,
  args: Record<string, Value>,
): Promise<OperationResult> {
  return performed(mathAdaptor(math).operations, name, args);
}

const start = (limits: Partial<typeof DEFAULT_MATH_LIMITS> = {}): MathService =>
  new MathService({ ...DEFAULT_MATH_LIMITS, workers: 1, ...limits });

const split = (n: bigint, parts: bigint): Record<string, Value> => ({
  input: integerValue(n),
  parts: integerValue(parts),
});
const powers = (range: string, exponent: bigint): Record<string, Value> => ({
  input: textValue(range),
  exponent: integerValue(exponent),
});

suite('sums in parts', (test) => {
  test('a split has every number once, in order, in parts that differ by one at most', () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 40n), fc.bigInt(1n, 60n), (n, parts) => {
        const ranges = splitRange(n, parts).map((range) => range.split('..').map(BigInt));
        let next = 1n;
        const lengths = ranges.map(([from = 0n, to = 0n]) => {
          assert.is(from, next);
          next = to + 1n;
          return next - from;
        });
        assert.is(next, n + 1n);
        assert.is(BigInt(ranges.length), parts < n ? parts : n);
        for (const length of lengths)
          assert.ok(length >= n / parts && length <= n / parts + 1n && length > 0n);
      }),
    );
  });

  test('split, sum of powers and sum together are the sum of powers', async () => {
    await using math = start();
    const range = fc.tuple(fc.bigInt(0n, 300n), fc.bigInt(1n, 9n), fc.bigInt(0n, 6n));
    await fc.assert(
      fc.asyncProperty(range, async ([n, parts, exponent]) => {
        let expected = 0n;
        for (let k = 1n; k <= n; k++) expected += k ** exponent;
        const ranges = (await perform(math, 'math.split', split(n, parts))) as Value;
        if (ranges.kind?.$case !== 'list') throw new Error('no list');
        const sums: Value[] = [];
        for (const one of ranges.kind.value.values)
          sums.push(
            (await perform(math, 'math.sum_powers', {
              input: one,
              exponent: integerValue(exponent),
            })) as Value,
          );
        const sum = await perform(math, 'math.sum', { input: listValue(sums) });
        assert.equal(sum, integerValue(expected));
      }),
      { numRuns: 40 },
    );
  });

  test('a large sum comes from a worker and is exact', async () => {
    await using math = start();
    const n = 200_000n;
    const result = await perform(math, 'math.sum_powers', powers(`1..${String(n)}`, 3n));
    assert.equal(result, integerValue(((n * (n + 1n)) / 2n) ** 2n));
    assert.is(math.load.workers, 1);
  });

  test('ranges may be negative or empty, and come as files', async () => {
    await using math = start();
    const sum = (range: string, e: bigint) => perform(math, 'math.sum_powers', powers(range, e));
    assert.equal(await sum('-3..2', 2n), integerValue(19n));
    assert.equal(await sum('-3..2', 3n), integerValue(-27n));
    assert.equal(await sum('2..1', 2n), integerValue(0n));
    assert.equal(await sum('0..0', 0n), integerValue(1n));
    const file = bytesValue('text/plain', Buffer.from('1..3\n'));
    const fromFile = { input: file, exponent: textValue('1') };
    assert.equal(await perform(math, 'math.sum_powers', fromFile), integerValue(6n));
  });

  test('a sum takes integers in any form and any size, and doubles where one is a double', async () => {
    await using math = start();
    const sum = (...values: Value[]) => perform(math, 'math.sum', { input: listValue(values) });
    assert.equal(await sum(), integerValue(0n));
    const huge = 10n ** 3000n;
    assert.equal(
      await sum(integerValue(huge), textValue('-1'), bytesValue('text/plain', Buffer.from('3'))),
      integerValue(huge + 2n),
    );
    assert.equal(await sum(integerValue(1n), numberValue(0.5)), numberValue(1.5));
  });

  test('what can not be summed says why, and limits are named', async () => {
    await using math = start({ max_elements: 10, max_terms: 1000, max_result_digits: 5000 });
    const list = (length: number): Record<string, Value> => ({
      input: listValue(Array.from({ length }, () => integerValue(1n))),
    });
    const rows: readonly (readonly [string, Record<string, Value>, string, RegExp])[] = [
      ['math.split', split(-1n, 2n), 'OUT_OF_RANGE', /-1/],
      ['math.split', split(5n, 0n), 'OUT_OF_RANGE', /parts/],
      ['math.split', split(5n, 11n), 'LIMIT_EXCEEDED', /max_elements is 10/],
      ['math.split', split(10n ** 400n, 10n), 'LIMIT_EXCEEDED', /max_result_digits is 5000/],
      ['math.sum_powers', powers('1...5', 1n), 'NOT_A_RANGE', /1\.\.\.5/],
      ['math.sum_powers', powers('5', 1n), 'NOT_A_RANGE', /"5"/],
      ['math.sum_powers', powers('1..5', -1n), 'OUT_OF_RANGE', /exponent/],
      ['math.sum_powers', powers('1..1001', 1n), 'LIMIT_EXCEEDED', /max_terms is 1000/],
      ['math.sum_powers', powers(`1..1${'0'.repeat(3000)}`, 1n), 'LIMIT_EXCEEDED', /max_terms/],
      ['math.sum_powers', powers('10..11', 9000n), 'LIMIT_EXCEEDED', /max_result_digits is 5000/],
      ['math.sum', { input: textValue('1') }, 'NOT_A_LIST', /input/],
      ['math.sum', { input: listValue([textValue('x')]) }, 'NOT_AN_INTEGER', /input/],
      ['math.sum', list(11), 'LIMIT_EXCEEDED', /max_elements is 10/],
    ];
    for (const [name, args, reason, message] of rows) {
      const error = await rejects(perform(math, name, args), FractoryError, { reason });
      assert.match(error.message, message, name);
      assert.ok(error.message.length < 250, error.message);
    }
  });
});
