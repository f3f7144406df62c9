import { Recent } from '../../../gossip/serf/recent.js';
import { Standings } from '../../../gossip/serf/standings.js';
import { assert, suite } from '../../suite.js';

const intent = (name: string, time: number, prune = false) => ({ name, time, prune });

suite('standings', (test) => {
  test('who said that it goes has left, who did not has failed, and who says goodbye has left', () => {
    const standings = new Standings('me');
    for (const name of ['a', 'b', 'c']) standings.came(name);
    assert.is(standings.leaves(intent('a', 5), false), 'news');
    assert.is(standings.leaves(intent('a', 5), false), 'old');
    assert.is(standings.went('a', false), 'left');
    assert.is(standings.went('b', false), 'failed');
    assert.is(standings.went('c', true), 'left');
    assert.equal(
      [...standings.all()].filter(([, { standing }]) => standing === 'left').map(([name]) => name),
      ['a', 'c'],
    );
  });

  test('an operator makes one that failed left, or has it forgotten until it comes back', () => {
    const standings = new Standings('me');
    for (const name of ['a', 'b']) standings.came(name);
    for (const name of ['a', 'b']) standings.went(name, false);
    assert.is(standings.leaves(intent('a', 3), false), 'left');
    assert.is(standings.leaves(intent('b', 3, true), false), 'pruned');
    assert.ok(standings.isPruned('b'));
    standings.came('b');
    assert.not.ok(standings.isPruned('b'));
    assert.is(standings.of('b'), 'alive');
  });

  test('one that is told to leave and lives says so with a later time, and stays', () => {
    const standings = new Standings('me');
    standings.came('me');
    standings.came('a');
    assert.is(standings.leaves(intent('me', 3), false), 'refute');
    standings.leaves(intent('a', 3), false);
    assert.is(standings.joins({ name: 'a', time: 3 }), 'old');
    assert.is(standings.joins({ name: 'a', time: 4 }), 'news');
    assert.is(standings.went('a', false), 'failed');
  });

  test('an intent that comes before its member counts when it comes, whoever tells it', () => {
    const standings = new Standings('me');
    standings.leaves(intent('a', 3), false);
    standings.came('a');
    assert.is(standings.of('a'), 'leaving');
    standings.joins({ name: 'b', time: 9 });
    standings.came('b');
    assert.is(standings.leaves(intent('b', 9), false), 'old');
  });

  test('intents about members that nobody knows take bounded memory', () => {
    const standings = new Standings('me');
    for (let at = 0; at < 5000; at++) standings.leaves(intent(`m${String(at)}`, 1), false);
    // The first ones are forgotten: they are news again.
    assert.is(standings.leaves(intent('m0', 1), false), 'news');
    assert.is(standings.leaves(intent('m4999', 1), false), 'old');
  });
});

suite('what was heard lately', (test) => {
  test('each thing is heard once, in any order, and what is older than 512 times not at all', () => {
    const recent = new Recent();
    assert.ok(recent.add(600, 'x'));
    assert.not.ok(recent.add(600, 'x'));
    assert.ok(recent.add(600, 'y'));
    assert.ok(recent.add(100, 'x'));
    assert.not.ok(recent.add(87, 'x'));
  });

  test('who comes late passes over what was before it, and one time holds 64 things', () => {
    const recent = new Recent();
    recent.ignoreBefore(10);
    assert.not.ok(recent.add(9, 'x'));
    const taken = Array.from({ length: 100 }, (_, at) => recent.add(10, String(at)));
    assert.is(taken.filter(Boolean).length, 64);
  });
});
