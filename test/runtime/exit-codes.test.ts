import { status } from '@grpc/grpc-js';

import { budgetExhausted, FractoryError, invalidArgument } from '../../runtime/errors.js';
import type { StatusCode } from '../../runtime/errors.js';
import { exitCodeOfFailure, exitCodeOfRun } from '../../runtime/exit-codes.js';
import { assert, suite } from '../suite.js';

suite('exit codes', (test) => {
  test('a step that does not find something or takes too long ends the command alike, whatever it says of its arguments', () => {
    const failed = (code: StatusCode, metadata = {}) =>
      exitCodeOfRun(new FractoryError(code, 'X', 'x', { metadata }));
    const step = { step: 'add-1' };
    assert.equal(
      [
        failed(status.NOT_FOUND, step),
        failed(status.DEADLINE_EXCEEDED, step),
        failed(status.INVALID_ARGUMENT, step),
        failed(status.CANCELLED, step),
        failed(status.INVALID_ARGUMENT),
      ],
      [3, 5, 1, 1, 2],
    );
    assert.equal(
      [exitCodeOfRun(budgetExhausted('late')), exitCodeOfFailure(invalidArgument('x', 'y'))],
      [5, 2],
    );
  });
});
