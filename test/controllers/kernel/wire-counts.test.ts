import { PendingCounts, WireTotals } from '../../../controllers/kernel/wire-counts.js';
import { assert, suite } from '../../suite.js';

suite('counts of the wire', (test) => {
  test('all connections to a peer share its totals, by path and direction', () => {
    const totals = new WireTotals();
    totals.of('math-1', 'link').sent(100, 1);
    totals.of('math-1', 'link').sent(10, 2);
    totals.of('math-1', 'bulk').received(5, 1);
    const found = totals
      .all()
      .filter(({ messages }) => messages > 0)
      .map(({ peer, path, direction, bytes, messages }) =>
        [peer, path, direction, bytes, messages].join(' '),
      );
    assert.equal(found, ['math-1 link sent 110 3', 'math-1 bulk received 5 1']);
  });

  test('what came before the peer was known is told when it is', () => {
    const totals = new WireTotals();
    const pending = new PendingCounts();
    pending.sent(1, 1);
    pending.received(2, 1);
    assert.is(totals.all().length, 0);
    pending.settle(totals.of('cnn-1', 'link'));
    pending.settle(totals.of('cnn-2', 'link'));
    pending.sent(10, 1);
    pending.received(20, 1);
    assert.equal(
      totals.all().map(({ peer, direction, bytes }) => [peer, direction, bytes]),
      [
        ['cnn-1', 'sent', 11],
        ['cnn-1', 'received', 22],
        ['cnn-2', 'sent', 0],
        ['cnn-2', 'received', 0],
      ],
    );
  });
});
