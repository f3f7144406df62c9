import { Metadata, status } from '@grpc/grpc-js';

import { Security } from '../../../controllers/kernel/security.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, suite, throws } from '../../suite.js';

const SECRET = 'a'.repeat(64);

function bearing(authorization: string): Metadata {
  const metadata = new Metadata();
  metadata.set('authorization', authorization);
  return metadata;
}

suite('security', (test) => {
  const guarded = new Security({ mode: 'token', token: 'let me in' }, SECRET);

  test('mode `open` lets everybody call, but only controllers link', () => {
    const open = new Security({ mode: 'open' }, SECRET);
    open.checkCaller(new Metadata());
    throws(
      () => {
        open.checkController(new Metadata());
      },
      FractoryError,
      { code: status.UNAUTHENTICATED, reason: 'NOT_A_CONTROLLER' },
    );
    open.checkController(open.metadata());
  });

  test('mode `token` wants the token', () => {
    guarded.checkCaller(bearing('Bearer let me in'));
    const rows: [Metadata, string][] = [
      [new Metadata(), 'TOKEN_MISSING'],
      [bearing('Bearer let me out'), 'TOKEN_WRONG'],
      [bearing('let me in'), 'TOKEN_WRONG'],
      [bearing('Bearer '), 'TOKEN_WRONG'],
    ];
    for (const [metadata, reason] of rows)
      throws(
        () => {
          guarded.checkCaller(metadata);
        },
        FractoryError,
        { code: status.UNAUTHENTICATED, reason },
      );
  });

  test('what a controller takes is counted to the member, what others take to their address', () => {
    const open = new Security({ mode: 'open' }, SECRET, 'cnn-1');
    assert.is(open.clientOf(open.metadata(), '10.0.0.1:4711'), 'cnn-1');
    assert.is(open.clientOf(new Metadata(), '10.0.0.1:4711'), '10.0.0.1');
    assert.is(open.clientOf(new Metadata(), '[::1]:4711'), '[::1]');
    const pretending = new Metadata();
    pretending.set('fractory-member', 'cnn-1');
    assert.is(open.clientOf(pretending, '10.0.0.1:4711'), '10.0.0.1');
  });

  test('the key of the data path is the same for the members of one data center only', () => {
    const keys = [SECRET, SECRET, 'b'.repeat(64)].map(
      (secret) => new Security({ mode: 'open' }, secret).bulkKey,
    );
    assert.is(keys[0]?.length, 32);
    assert.equal(keys[0], keys[1]);
    assert.not.equal(keys[0], keys[2]);
  });

  test('controllers of the same data center need no token, those of another do', () => {
    guarded.checkCaller(new Security({ mode: 'open' }, SECRET).metadata());
    const stranger = new Security({ mode: 'open' }, 'b'.repeat(64)).metadata();
    throws(
      () => {
        guarded.checkCaller(stranger);
      },
      FractoryError,
      { reason: 'TOKEN_MISSING' },
    );
    throws(
      () => {
        guarded.checkController(stranger);
      },
      FractoryError,
      { reason: 'NOT_A_CONTROLLER' },
    );
  });
});
