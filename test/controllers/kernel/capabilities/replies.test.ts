import type { Outcome } from '../../../../controllers/kernel/capabilities/replies.js';
import { RIGHT_INVOKE } from '../../../../controllers/kernel/capabilities/token.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { integerValue, listValue } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';
import { CapabilityTable, reasonOf } from './capability-table.js';

suite('replies', (test) => {
  const succeed = (
    table: CapabilityTable,
    capability: Capability,
    end: string,
    n: bigint,
  ): void => {
    const { object } = table.objects.use(capability, RIGHT_INVOKE);
    if (object.kind !== 'reply') throw new Error('not a reply');
    table.objects.settleReply(object, end, integerValue(n), [Buffer.from(end), Buffer.from('all')]);
  };

  test('the first half of a pair that is used consumes both', () => {
    using table = new CapabilityTable();
    const seen: string[] = [];
    const pair = table.objects.addReply((outcome) => seen.push(outcome.kind));
    succeed(table, pair.success, 'result', 1n);
    for (const capability of [pair.success, pair.failure])
      assert.is(table.reason(capability), 'CAPABILITY_REVOKED');
    pair.revoke();
    assert.equal([seen, table.objects.size], [['succeeded'], 1]);
  });

  test('a reply with several ends is settled when all have come, with a list in their order', () => {
    using table = new CapabilityTable();
    const outcomes: Outcome[] = [];
    const pair = table.objects.addReply((outcome) => outcomes.push(outcome), ['a', 'b', 'c']);
    succeed(table, pair.success, 'c', 3n);
    succeed(table, pair.success, 'a', 1n);
    succeed(table, pair.success, 'a', 9n);
    assert.is(
      reasonOf(() => {
        succeed(table, pair.success, 'd', 4n);
      }),
      'CAPABILITY_DENIED',
    );
    assert.equal([outcomes.length, table.objects.size], [0, 3]);
    succeed(table, pair.success, 'b', 2n);
    const [outcome] = outcomes;
    assert.ok(outcome?.kind === 'succeeded');
    assert.equal(outcome.result, listValue([1n, 2n, 3n].map((n) => integerValue(n))));
    // Receipts of paths that met are told once.
    assert.equal(outcome.receipts.map(String), ['c', 'all', 'a', 'b']);
    assert.is(table.reason(pair.success), 'CAPABILITY_REVOKED');
    assert.is(table.objects.size, 1);
  });

  test('one failure settles a reply of which some ends have come', () => {
    using table = new CapabilityTable();
    const kinds: string[] = [];
    const pair = table.objects.addReply((outcome) => kinds.push(outcome.kind), ['a', 'b']);
    succeed(table, pair.success, 'a', 1n);
    const { object } = table.objects.use(pair.failure, RIGHT_INVOKE);
    const failure = { code: 1, reason: 'X', message: '', step: '', member: '', metadata: {} };
    if (object.kind === 'reply')
      table.objects.consume(object, {
        kind: 'failed',
        failure: { ...failure, retryAfterMs: 0 },
        receipts: [],
      });
    assert.is(table.reason(pair.success), 'CAPABILITY_REVOKED');
    assert.equal([kinds, table.objects.size], [['failed'], 1]);
  });

  test('a reply that was revoked is never settled', () => {
    using table = new CapabilityTable();
    const pair = table.objects.addReply(() => {
      assert.unreachable('it was settled');
    });
    pair.revoke();
    pair.revoke();
    assert.is(table.reason(pair.failure), 'CAPABILITY_REVOKED');
  });
});
