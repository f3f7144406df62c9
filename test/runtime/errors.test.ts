import { status } from '@grpc/grpc-js';

import { backoffMs } from '../../runtime/backoff.js';
import {
  budgetExhausted,
  cancelled,
  deadlineExceeded,
  FractoryError,
  invalidArgument,
  limitExceeded,
  messageOf,
  systemCodeOf,
  unavailable,
} from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import { assert, suite, throws } from '../suite.js';

suite('errors', (test) => {
  const rows: [FractoryError, status, string, string][] = [
    [
      invalidArgument('n', 'is missing'),
      status.INVALID_ARGUMENT,
      'INVALID_ARGUMENT',
      'n: is missing',
    ],
    [
      limitExceeded('max_hops', 9, 8),
      status.RESOURCE_EXHAUSTED,
      'LIMIT_EXCEEDED',
      'max_hops is 9, the limit max_hops is 8',
    ],
    [
      limitExceeded('max_x', 9n, 8n, { what: 'the size' }),
      status.RESOURCE_EXHAUSTED,
      'LIMIT_EXCEEDED',
      'the size is 9, the limit max_x is 8',
    ],
    [unavailable('GONE', 'gone'), status.UNAVAILABLE, 'GONE', 'gone'],
    [deadlineExceeded('late'), status.DEADLINE_EXCEEDED, 'DEADLINE_EXCEEDED', 'late'],
    [budgetExhausted('late'), status.DEADLINE_EXCEEDED, 'BUDGET_EXHAUSTED', 'late'],
    [cancelled(), status.CANCELLED, 'CANCELLED', 'cancelled by the caller'],
  ];
  for (const [error, code, reason, message] of rows)
    test(`${reason} of ${message}`, () => {
      assert.equal([error.code, error.reason, error.message], [code, reason, message]);
    });

  test('what is unavailable says when to try again, a limit names itself', () => {
    assert.is(unavailable('GONE', 'gone').retryAfterMs, 200);
    assert.is(unavailable('GONE', 'gone', { retryAfterMs: 5 }).retryAfterMs, 5);
    assert.equal(limitExceeded('max_hops', 9, 8, { metadata: { a: 'b' } }).metadata, {
      ...{ a: 'b', limit: 'max_hops', allowed: '8' },
    });
  });

  test('the cause is kept', () => {
    const cause = new Error('deep');
    assert.is(new FractoryError(status.ABORTED, 'X', 'x', { cause }).cause, cause);
  });

  test('texts and codes of whatever was thrown', () => {
    assert.equal(
      [messageOf(new Error('x')), messageOf(5), messageOf(undefined)],
      ['x', '5', 'undefined'],
    );
    assert.is(systemCodeOf(Object.assign(new Error(), { code: 'ENOENT' })), 'ENOENT');
    for (const other of [Object.assign(new Error(), { code: 5 }), new Error(), 'ENOENT'])
      assert.is(systemCodeOf(other), undefined);
  });
});

suite('names', (test) => {
  for (const good of ['a', 'A-b_c.9', '_', '-x', 'x'.repeat(128)])
    test(`${good.slice(0, 10)} is a name`, () => {
      assert.is(checkName('name', good), good);
    });
  for (const bad of ['', '.', '..', '.hidden', 'a/b', 'a b', 'ä', 'a\n', 'a\0', 'x'.repeat(129)])
    test(`${JSON.stringify(bad.slice(0, 10))} is not a name`, () => {
      const error = throws(() => checkName('name', bad), FractoryError, {
        ...{ code: status.INVALID_ARGUMENT, reason: 'BAD_NAME' },
      });
      assert.is(error.violations[0]?.field, 'name');
    });
});

suite('backoff', (test) => {
  const middle = (): number => 0.5;
  test('doubles up to the longest delay', () => {
    const delays = [1, 2, 3, 10].map((attempt) => backoffMs(attempt, {}, middle));
    assert.equal(delays, [50, 100, 200, 2000]);
  });

  test('jitters to both sides', () => {
    assert.is(
      backoffMs(1, { initialMs: 100 }, () => 0),
      80,
    );
    assert.is(
      backoffMs(1, { initialMs: 100 }, () => 1),
      120,
    );
    assert.is(
      backoffMs(1, { initialMs: 100, jitter: 0 }, () => 1),
      100,
    );
  });
});
