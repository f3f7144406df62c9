import { epochBaseAbove, epochBaseAt, parseEpochBase } from '../../zookeeper/epoch-base.js';
import { LeaseTable } from '../../zookeeper/embedded/lease-table.js';
import { encodeZnode, epochOf } from '../../zookeeper/members.js';
import { assert, suite } from '../suite.js';
import { record } from './member-fixture.js';

const NOW_MS = Date.UTC(2026, 6, 1);

suite('epoch base', (test) => {
  test('a data center that is created later has greater epochs, whatever its czxids', () => {
    const before = epochBaseAt(NOW_MS) + ((40n << 32n) | 0xffff_ffffn);
    assert.ok(epochBaseAt(NOW_MS + 60_000) + 1n > before);
    assert.ok(epochBaseAt(NOW_MS + 60_000) < 1n << 62n);
  });

  test('the embedded coordinator and ZooKeeper count on one scale', () => {
    const lease = { session: 1, registration: 1, type: 'math', member: 'math-1', data: '' };
    const embedded = new LeaseTable(NOW_MS).register(lease).epoch;
    assert.ok(embedded > epochBaseAt(NOW_MS - 1000) + 100_000n);
    assert.ok(epochBaseAt(NOW_MS + 1000) + 1n > embedded);
  });

  test('a base above an epoch is above all that count from the same second', () => {
    const epoch = epochBaseAt(NOW_MS) + 12_345n;
    assert.ok(epochBaseAbove(epoch) > epoch);
    assert.is(epochBaseAbove(epoch) & 0xffff_ffffn, 0n);
  });

  test('a znode carries the base that its czxid counts from', () => {
    const base = epochBaseAt(NOW_MS);
    assert.is(epochOf(encodeZnode(record('math-1'), base), 7n), base + 7n);
    for (const data of ['', '{', '{}', '{"epochBase":-1}', '{"epochBase":"x"}'])
      assert.is(epochOf(data, 7n), 7n);
    assert.is(parseEpochBase('12'), 12n);
    assert.is(parseEpochBase(''), undefined);
  });
});
