import fc from 'fast-check';

import { FractoryError } from '../../../runtime/errors.js';
import { DEFAULT_MATH_LIMITS } from '../../../services/math/limits.js';
import { log10Of } from '../../../services/math/integers.js';
import { compute, digitsOf } from '../../../services/math/tasks.js';
import type { ExactTask } from '../../../services/math/tasks.js';
import { assert, suite, throws } from '../../suite.js';

const limits = { ...DEFAULT_MATH_LIMITS, max_result_digits: 5000 };

function exact(task: ExactTask): unknown {
  digitsOf(task, limits);
  return compute(task, limits);
}

suite('exact integers', (test) => {
  const rows: readonly (readonly [ExactTask, string])[] = [
    [{ kind: 'shiftLeft', n: '7', m: '9' }, '3584'],
    [{ kind: 'shiftLeft', n: '-7', m: '1' }, '-14'],
    [{ kind: 'shiftLeft', n: ' 7\n', m: '0' }, '7'],
    [{ kind: 'shiftLeft', n: '007', m: '1' }, '14'],
    [{ kind: 'shiftLeft', n: '1', m: '200' }, String(2n ** 200n)],
    [{ kind: 'add', n: '-1', by: '10' }, '9'],
    [{ kind: 'multiply', n: '99999999999', by: '-3' }, '-299999999997'],
    [{ kind: 'factorial', n: '0' }, '1'],
    [{ kind: 'factorial', n: '20' }, '2432902008176640000'],
    [{ kind: 'binomial', n: '52', k: '5' }, '2598960'],
    [{ kind: 'binomial', n: '5', k: '6' }, '0'],
    [{ kind: 'binomial', n: '5', k: '-1' }, '0'],
    [{ kind: 'binomial', n: '0', k: '0' }, '1'],
    [
      { kind: 'binomial', n: '1000000000000000000000', k: '2' },
      '499999999999999999999500000000000000000000',
    ],
    [
      { kind: 'binomial', n: '1000000000000000000000', k: '999999999999999999999' },
      '1000000000000000000000',
    ],
  ];
  for (const [task, result] of rows)
    test(`${JSON.stringify(task)} is ${result.slice(0, 30)}`, () => {
      assert.is(exact(task), result);
    });

  const refused: readonly (readonly [ExactTask, string])[] = [
    [{ kind: 'shiftLeft', n: '1.5', m: '1' }, 'NOT_AN_INTEGER'],
    [{ kind: 'shiftLeft', n: '', m: '1' }, 'NOT_AN_INTEGER'],
    [{ kind: 'shiftLeft', n: '0x10', m: '1' }, 'NOT_AN_INTEGER'],
    [{ kind: 'shiftLeft', n: '1 2', m: '1' }, 'NOT_AN_INTEGER'],
    [{ kind: 'shiftLeft', n: '1', m: '-1' }, 'OUT_OF_RANGE'],
    [{ kind: 'shiftLeft', n: '1', m: '99999999999999999999' }, 'LIMIT_EXCEEDED'],
    [{ kind: 'shiftLeft', n: '9'.repeat(6000), m: '1' }, 'LIMIT_EXCEEDED'],
    [{ kind: 'add', n: '1', by: 'two' }, 'NOT_AN_INTEGER'],
    [{ kind: 'multiply', n: '9'.repeat(4000), by: '9'.repeat(4000) }, 'LIMIT_EXCEEDED'],
    [{ kind: 'factorial', n: '-1' }, 'OUT_OF_RANGE'],
    [{ kind: 'factorial', n: '100000000000' }, 'LIMIT_EXCEEDED'],
    [{ kind: 'binomial', n: '-2', k: '1' }, 'OUT_OF_RANGE'],
    [{ kind: 'binomial', n: '1000000', k: '500000' }, 'LIMIT_EXCEEDED'],
    [{ kind: 'expand', a: '', b: '', n: '1000000' }, 'LIMIT_EXCEEDED'],
    [{ kind: 'expand', a: '1.5', b: '', n: '2' }, 'NOT_AN_INTEGER'],
  ];
  for (const [task, reason] of refused)
    test(`${JSON.stringify(task).slice(0, 60)} is refused: ${reason}`, () => {
      const error = throws(() => exact(task), FractoryError, { reason });
      assert.ok(error.message.length < 200);
      if (reason === 'LIMIT_EXCEEDED') assert.match(error.message, /max_result_digits is 5000/);
    });

  test('an expansion of symbols has all terms and one line of text', () => {
    assert.equal(exact({ kind: 'expand', a: '', b: '', n: '3' }), {
      terms: [
        { coefficient: '1', aPower: 3, bPower: 0, value: '' },
        { coefficient: '3', aPower: 2, bPower: 1, value: '' },
        { coefficient: '3', aPower: 1, bPower: 2, value: '' },
        { coefficient: '1', aPower: 0, bPower: 3, value: '' },
      ],
      value: '',
      text: 'a^3 + 3*a^2*b + 3*a*b^2 + b^3',
    });
  });

  test('the terms of an expansion add up to its value', () => {
    fc.assert(
      fc.property(
        fc.bigInt(-50n, 50n),
        fc.bigInt(-50n, 50n),
        fc.integer({ min: 0, max: 20 }),
        (a, b, n) => {
          const task = { kind: 'expand', a: String(a), b: String(b), n: String(n) } as const;
          const { terms, value } = compute(task, limits);
          const sum = terms.reduce((left, term) => left + BigInt(term.value), 0n);
          assert.is(sum, (a + b) ** BigInt(n));
          assert.is(value, String(sum));
        },
      ),
    );
  });

  test('estimates of size never fall below a result, nor far above it', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 900 }), fc.integer({ min: 0, max: 900 }), (n, k) => {
        for (const task of [
          { kind: 'factorial', n: String(n) },
          { kind: 'binomial', n: String(n), k: String(Math.min(n, k)) },
          { kind: 'shiftLeft', n: String(n), m: String(k) },
        ] as const) {
          const [estimate, digits] = [digitsOf(task, limits), compute(task, limits).length];
          assert.ok(
            estimate > digits - 1 && estimate < digits + 4,
            `${JSON.stringify(task)}: ${String(estimate)}, ${String(digits)}`,
          );
        }
      }),
    );
  });

  test('a logarithm is right for numbers of any size', () => {
    for (const digits of [1, 15, 16, 17, 100, 5000])
      assert.ok(Math.abs(log10Of(10n ** BigInt(digits)) - digits) < 0.05, String(digits));
  });
});
