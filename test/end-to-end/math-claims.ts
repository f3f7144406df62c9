import { assert } from '../suite.js';
import type { ForeignClient } from './foreign-client.js';
import { base64 } from './wire.js';
import type { Claims } from './wire.js';

const timeoutMs = 60_000;

async function resultOf(math: ForeignClient, method: string, request: object): Promise<string> {
  const { result } = await math.call<{ result: string }>(`MathService/${method}`, { ...request });
  return result;
}

function factorial(n: bigint): bigint {
  return n < 2n ? 1n : n * factorial(n - 1n);
}

export const mathClaims: Claims = (test, wire) => {
  test(
    'gets exact integers of any size',
    async () => {
      const math = await wire.at('math');
      assert.is(await resultOf(math, 'Factorial', { n: '1000' }), String(factorial(1000n)));
      const middle = factorial(200n) / factorial(100n) ** 2n;
      assert.is(await resultOf(math, 'Binomial', { n: '200', k: '100' }), String(middle));
      assert.is(await resultOf(math, 'ShiftLeft', { n: '7', m: '9' }), '3584');
      const shifted = await resultOf(math, 'ShiftLeft', { n: '-12345678901234567891', m: '3000' });
      assert.is(shifted, String(-12345678901234567891n * 2n ** 3000n));
    },
    { timeoutMs },
  );

  test(
    'gets the value of an expression and what it is',
    async () => {
      const math = await wire.at('math');
      const rows = [
        [{ expression: '2^100 + x', variables: { x: '1' } }, String(2n ** 100n + 1n), 'integer'],
        [{ expression: '1 / 3 > 0.25' }, 'true', 'boolean'],
        [{ expression: 'sqrt(-4)' }, '2i', 'complex'],
      ] as const;
      for (const [request, result, type] of rows)
        assert.equal(await math.call('MathService/Evaluate', { ...request }), { result, type });
    },
    { timeoutMs },
  );

  test(
    'gets the terms of a binomial expansion and its value',
    async () => {
      const math = await wire.at('math');
      const { terms, value, text } = await math.call<{
        terms: { coefficient: string; aPower?: number; bPower?: number; value: string }[];
        value: string;
        text: string;
      }>('MathService/Expand', { a: '2', b: '3', n: '4' });
      assert.equal(
        terms.map(({ coefficient, aPower = 0, bPower = 0 }) => [coefficient, aPower, bPower]),
        [
          ['1', 4, 0],
          ['4', 3, 1],
          ['6', 2, 2],
          ['4', 1, 3],
          ['1', 0, 4],
        ],
      );
      assert.equal(
        terms.map((term) => term.value),
        ['16', '96', '216', '216', '81'],
      );
      assert.is(value, '625');
      assert.ok(text.length > 0);
      const symbolic = await math.call<{ text: string }>('MathService/Expand', { n: '2' });
      assert.match(symbolic.text, /a\^2 \+ 2 ?\*? ?a ?\*? ?b \+ b\^2/);
    },
    { timeoutMs },
  );

  test(
    'gets the cosine of two vectors, as numbers or as tensors',
    async () => {
      const math = await wire.at('math');
      const data = base64(new Uint8Array(Float32Array.of(3, 4).buffer));
      const a = { tensor: { datatype: 'FP32', shape: ['2'], data } };
      const request = { a, b: { numbers: [4, 3] } };
      assert.equal(await math.call('MathService/Cosine', request), { result: 0.96 });
      const zero = await math.failure('MathService/Cosine', { a, b: { numbers: [0, 0] } });
      assert.equal([zero.code, zero.reason], ['invalid_argument', 'ZERO_VECTOR']);
    },
    { timeoutMs },
  );

  test(
    'is told what can not be computed, and the node lives on',
    async () => {
      const math = await wire.at('math');
      const fibonacci = 'f(n) = n < 2 ? n : f(n - 1) + f(n - 2); f(60)';
      const rows: readonly (readonly [string, RegExp, RegExp])[] = [
        ['2^(2^40)', /^resource_exhausted$/, /max_result_digits/],
        [`1${'+1'.repeat(500_000)}`, /^resource_exhausted$/, /max_expression_length is 10000/],
        ['sum(1:10^9)', /^(resource_exhausted|deadline_exceeded)$/, /memory|longer/],
        [fibonacci, /^(resource_exhausted|deadline_exceeded)$/, /max_compute_ms|longer than/],
        ['f(x) = f(x + 1); f(0)', /^invalid_argument$/, /calls itself/],
        ['('.repeat(400) + '1' + ')'.repeat(400), /^(invalid_argument|resource_exhausted)$/, /./],
        ['import({}, {})', /^invalid_argument$/, /off/],
        ['evaluate("1")', /^invalid_argument$/, /off/],
        ['1 +', /^invalid_argument$/, /./],
        ['', /^invalid_argument$/, /empty/],
      ];
      for (const [expression, code, message] of rows) {
        const error = await math.failure('MathService/Evaluate', { expression });
        const shown = `${expression.slice(0, 40)}: ${error.code} ${error.message}`;
        assert.match(error.code, code, shown);
        assert.match(error.message, message, shown);
        assert.ok(error.reason !== '', shown);
        assert.is(await resultOf(math, 'ShiftLeft', { n: '1', m: '1' }), '2');
      }
    },
    { timeoutMs },
  );

  test(
    'is told of numbers that are none, too small or too large',
    async () => {
      const math = await wire.at('math');
      const rows = [
        ['Factorial', { n: 'many' }, 'invalid_argument'],
        ['Factorial', { n: '-1' }, 'invalid_argument'],
        ['Factorial', { n: '1000000000000' }, 'resource_exhausted'],
        ['Binomial', { n: '10' }, 'invalid_argument'],
        ['ShiftLeft', { n: '1', m: '99999999999' }, 'resource_exhausted'],
        ['Expand', { a: '2', b: '3', n: '100000000' }, 'resource_exhausted'],
      ] as const;
      for (const [method, request, code] of rows) {
        const error = await math.failure(`MathService/${method}`, { ...request });
        assert.is(error.code, code, `${method} ${JSON.stringify(request)}: ${error.message}`);
        assert.not.match(error.message, /\n/);
      }
    },
    { timeoutMs },
  );
};
