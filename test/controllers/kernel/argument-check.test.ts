import { status } from '@grpc/grpc-js';

import { checkArguments, mergeArguments } from '../../../controllers/kernel/argument-check.js';
import { integerValue, textValue } from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite, throws } from '../../suite.js';
import { increment } from './kernels.js';

suite('arguments of an invocation', (test) => {
  const rows: [string, Record<string, ReturnType<typeof textValue>>, string, RegExp][] = [
    ['missing', {}, 'MISSING_ARGUMENT', /input: math.add needs it/],
    [
      'of the wrong kind',
      { input: textValue('1'), by: textValue('1') },
      'WRONG_KIND',
      /by: .*takes integer, found text/,
    ],
    [
      'unknown',
      { input: textValue('1'), bye: integerValue(1n) },
      'UNKNOWN_ARGUMENT',
      /bye: .*it has input, by/,
    ],
  ];
  for (const [what, args, reason, message] of rows)
    test(`one that is ${what} is refused with ${reason}`, () => {
      const error = throws(
        () => {
          checkArguments(increment.spec, new Map(Object.entries(args)));
        },
        FractoryError,
        { code: status.INVALID_ARGUMENT, reason },
      );
      assert.match(error.message, message);
      assert.is(error.violations.length, 1);
    });

  test('optional ones may be left out', () => {
    checkArguments(increment.spec, new Map([['input', textValue('1')]]));
  });

  test('one that is given twice, or without a value, is refused', () => {
    const one = { name: 'a', value: textValue('1') };
    for (const given of [[one, one], [{ name: 'a', value: {} }], [{ name: 'a', value: undefined }]])
      throws(() => mergeArguments(new Map(), given), FractoryError, {
        code: status.INVALID_ARGUMENT,
      });
  });

  test('fixed and given ones come together', () => {
    const merged = mergeArguments(new Map([['a', textValue('1')]]), [
      { name: 'b', value: textValue('2') },
    ]);
    assert.equal([...merged.keys()], ['a', 'b']);
  });
});
