import { Metadata, status } from '@grpc/grpc-js';
import fc from 'fast-check';

import {
  fromFailure,
  fromRpcStatus,
  fromStatus,
  toFailure,
  toFractoryError,
  toRpcStatus,
  toStatus,
} from '../../protos/status.js';
import { cancelled, FractoryError, invalidArgument, unavailable } from '../../runtime/errors.js';
import { assert, suite } from '../suite.js';

const words = fc.string({ maxLength: 60 });
const errors = fc
  .record({
    code: fc.constantFrom(status.NOT_FOUND, status.UNAVAILABLE, status.INVALID_ARGUMENT),
    reason: fc.constantFrom('NOT_LEADER', 'BAD_GRAPH', 'X'),
    message: words,
    metadata: fc.dictionary(
      words.filter((key) => key !== '__proto__'),
      words,
      { maxKeys: 3 },
    ),
    violations: fc.array(fc.record({ field: words, description: words }), { maxLength: 3 }),
    retryAfterMs: fc.option(fc.nat({ max: 100_000 }), { nil: undefined }),
  })
  .map(({ code, reason, message, retryAfterMs, ...rest }) => {
    const known = retryAfterMs === undefined ? rest : { ...rest, retryAfterMs };
    return new FractoryError(code, reason, message, known);
  });

function assertSame(actual: FractoryError, expected: FractoryError): void {
  for (const key of ['code', 'reason', 'message', 'retryAfterMs'] as const)
    assert.is(actual[key], expected[key], key);
  assert.equal({ ...actual.metadata }, { ...expected.metadata });
  assert.equal(
    actual.violations.map(({ field, description }) => ({ field, description })),
    expected.violations.map((violation) => ({ ...violation })),
  );
}

suite('status', (test) => {
  test('an error comes through a gRPC status as it was', () => {
    fc.assert(
      fc.property(errors, (error) => {
        assertSame(fromStatus(toStatus(error)), error);
        assertSame(fromRpcStatus(toRpcStatus(error)), error);
      }),
      { seed: 1 },
    );
  });

  test('a status of somebody else keeps its code and text', () => {
    const foreign = { code: status.ABORTED, details: 'no details', metadata: new Metadata() };
    const error = fromStatus(foreign);
    assert.equal(
      [error.code, error.reason, error.message],
      [status.ABORTED, 'ABORTED', 'no details'],
    );
  });

  test('details that cannot be read do not hide the error', () => {
    const metadata = new Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from([0xff, 0xff]));
    const error = fromStatus({ code: status.NOT_FOUND, details: 'gone', metadata });
    assert.equal([error.code, error.message], [status.NOT_FOUND, 'gone']);
  });

  test('a code that gRPC does not know is UNKNOWN', () => {
    for (const code of [0, 17, -1])
      assert.is(fromRpcStatus({ code, message: '', details: [] }).code, status.UNKNOWN);
  });

  test('what nobody expected is INTERNAL without its text', () => {
    for (const thrown of [new TypeError('secret'), 'secret', undefined, { message: 'secret' }]) {
      const error = toFractoryError(thrown);
      assert.is(error.code, status.INTERNAL);
      assert.not.match(error.message, /secret/);
    }
  });

  test('a long text is cut between characters and stays well-formed', () => {
    for (let length = 1490; length < 1500; length++) {
      const { message } = toRpcStatus(invalidArgument('x', 'y'.repeat(length) + '😀'.repeat(50)));
      assert.ok(Buffer.byteLength(message) <= 1500);
      assert.is(Buffer.from(message).toString(), message);
      assert.not.match(message, /\ufffd/);
      assert.match(message, /\.\.\.$/);
    }
    assert.is(toRpcStatus(invalidArgument('x', '\ud800')).message, 'x: \ufffd');
  });

  test('violations past the limit are counted', () => {
    const violations = Array.from({ length: 500 }, (_, index) => ({
      ...{ field: `f${String(index)}`, description: 'is missing' },
    }));
    const error = new FractoryError(status.INVALID_ARGUMENT, 'BAD_GRAPH', '', { violations });
    const told = fromStatus(toStatus(error)).violations;
    assert.ok(told.length > 20 && told.length < 200);
    assert.is(told.at(-1)?.description, `and ${String(500 - told.length + 1)} more`);
  });

  test('a failure says where, and comes back as an error', () => {
    const error = unavailable('OWNER_LOST', 'gone', { metadata: { owner: 'math-1' } });
    const back = fromFailure(toFailure(error, { step: 'add-1', member: 'math-2' }));
    assert.equal([back.code, back.reason, back.message], [error.code, 'OWNER_LOST', 'gone']);
    assert.equal({ ...back.metadata }, { owner: 'math-1', step: 'add-1', member: 'math-2' });
    assert.is(toFailure(cancelled(), { step: '', member: '' }).code, status.CANCELLED);
  });
});
