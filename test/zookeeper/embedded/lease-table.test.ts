import { LeaseTable } from '../../../zookeeper/embedded/lease-table.js';
import { assert, suite } from '../../suite.js';

const lease = (session: number, member: string, registration = 1, type = 'math') => ({
  session,
  registration,
  type,
  member,
  data: '{}',
});

const NOW_MS = Date.UTC(2026, 0, 1);

suite('lease table', (test) => {
  test('epochs grow over all types and over restarts, sequences within a type', () => {
    const table = new LeaseTable(NOW_MS);
    const a = table.register(lease(1, 'a'));
    const b = table.register(lease(1, 'b', 2, 'storage'));
    const c = table.register(lease(2, 'c'));
    assert.ok(a.epoch < b.epoch && b.epoch < c.epoch);
    assert.equal([a.sequence, b.sequence, c.sequence], [0n, 0n, 1n]);
    assert.ok(new LeaseTable(NOW_MS + 1).register(lease(1, 'a')).epoch > c.epoch);
  });

  test('a member is there once: a later registration replaces the earlier', () => {
    const table = new LeaseTable(0);
    table.register(lease(1, 'a'));
    const later = table.register(lease(2, 'a'));
    assert.equal(table.list(), [later]);
    assert.is(table.end(1), false);
    assert.is(table.end(2), true);
    assert.equal(table.list(), []);
  });

  test('only the session that registered can withdraw', () => {
    const table = new LeaseTable(0);
    table.register(lease(1, 'a'));
    assert.is(table.withdraw(2, 1), false);
    assert.is(table.withdraw(1, 1), true);
  });
});
