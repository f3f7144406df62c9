import {
  bytesValue,
  integerValue,
  numberValue,
  textValue,
  toPlain,
} from '../../../protos/values.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { OperationResult } from '../../../services/adaptor.js';
import { mathAdaptor } from '../../../services/math/adaptor.js';
import { DEFAULT_MATH_LIMITS } from '../../../services/math/limits.js';
import { MathService } from '../../../services/math/service.js';
import { assert, rejects, suite, throws } from '../../suite.js';
import { performed } from '../performed.js';

function perform(
  math: MathService,
  name: string,
  args: Record<string, Value>,
): OperationResult | Promise<OperationResult> {
  return performed(mathAdaptor(math).operations, name, args);
}

suite('operations of a math node', (test) => {
  test('integers come as integers, text or files, and results are values', async () => {
    await using math = new MathService(DEFAULT_MATH_LIMITS);
    const file = bytesValue('text/plain', Buffer.from('7\n'));
    const raw = bytesValue('application/octet-stream', Buffer.from('7'));
    const rows: readonly (readonly [string, Record<string, Value>, Value])[] = [
      ['math.shift_left', { input: integerValue(7n), m: integerValue(9n) }, integerValue(3584n)],
      ['math.shift_left', { input: file, m: textValue('9') }, integerValue(3584n)],
      ['math.shift_left', { input: raw, m: textValue('9') }, integerValue(3584n)],
      ['math.add', { input: integerValue(7n), by: integerValue(-9n) }, integerValue(-2n)],
      ['math.multiply', { input: integerValue(7n), by: integerValue(9n) }, integerValue(63n)],
      ['math.factorial', { input: textValue('5') }, integerValue(120n)],
      ['math.binomial', { input: textValue('5'), k: textValue('2') }, integerValue(10n)],
      ['math.evaluate', { expression: textValue('input^2'), input: file }, integerValue(49n)],
      [
        'math.evaluate',
        { expression: textValue('input / 2'), input: numberValue(7) },
        numberValue(3.5),
      ],
      ['math.evaluate', { expression: textValue('1 < 2') }, textValue('true')],
    ];
    for (const [name, args, result] of rows)
      assert.equal(await perform(math, name, args), result, name);
  });

  test('a small step answers without a promise', async () => {
    await using math = new MathService(DEFAULT_MATH_LIMITS);
    const result = perform(math, 'math.shift_left', {
      input: integerValue(7n),
      m: integerValue(1n),
    });
    assert.not.instance(result, Promise);
  });

  test('an expansion is JSON', async () => {
    await using math = new MathService(DEFAULT_MATH_LIMITS);
    const args = { input: integerValue(2n), a: integerValue(3n) };
    assert.equal(toPlain((await perform(math, 'math.expand', args)) as Value), {
      terms: [
        { coefficient: '1', aPower: 2, bPower: 0, value: '' },
        { coefficient: '2', aPower: 1, bPower: 1, value: '' },
        { coefficient: '1', aPower: 0, bPower: 2, value: '' },
      ],
      value: '',
      text: '3^2 + 2*3*b + b^2',
    });
  });

  test('what is not an integer says so', async () => {
    await using math = new MathService(DEFAULT_MATH_LIMITS);
    for (const input of [textValue('seven'), bytesValue('image/png', Buffer.from('7'))]) {
      throws(() => perform(math, 'math.factorial', { input }), FractoryError, {
        reason: 'NOT_AN_INTEGER',
      });
    }
    await rejects(
      Promise.resolve(
        perform(math, 'math.evaluate', { expression: textValue('x'), input: textValue('seven') }),
      ),
      FractoryError,
      { reason: 'NOT_A_NUMBER' },
    );
  });
});
