import { seededRandom } from '../../../runtime/seeded-random.js';
import { Awareness } from '../../../gossip/core/awareness.js';
import type { Drop } from '../../../gossip/core/drop.js';
import { OwnTable } from '../../../gossip/core/member.js';
import { Membership } from '../../../gossip/core/membership.js';
import type { MemberChange } from '../../../gossip/core/membership.js';
import { lan } from '../../../gossip/core/profile.js';
import { VirtualTime } from '../../../gossip/simulator/virtual-time.js';
import type { Alive, Message } from '../../../gossip/wire/messages.js';
import { assert, suite } from '../../suite.js';

const versions = Uint8Array.of(1, 5, 2, 0, 0, 0);
const about = (last: number, meta = ''): Omit<Alive, 'name' | 'incarnation'> => ({
  ...{ address: Uint8Array.of(10, 0, 0, last), port: 7946, meta: Buffer.from(meta), versions },
});
const alive = (name: string, incarnation: number, last = 1, meta = ''): Alive => ({
  ...{ name, incarnation },
  ...about(last, meta),
});

function listOf(self = 'me', deadMemberReclaimMs = 0, maxMembers = Infinity) {
  const time = new VirtualTime();
  const table = new OwnTable();
  const awareness = new Awareness(8);
  const spread: (Message & { name: string })[] = [];
  const changes: MemberChange[] = [];
  const dropped: Drop[] = [];
  const members = new Membership(self, {
    ...{ profile: { ...lan, deadMemberReclaimMs }, clock: time, table, awareness },
    spread: (message) => spread.push(message),
    changed: (change) => changes.push(change),
    dropped: (why) => dropped.push(why),
    maxMembers,
  });
  members.announce(about(99));
  const stateOf = (name: string): string | undefined => {
    const view = table.get(name);
    return view && `${view.state} ${String(view.incarnation)}`;
  };
  const told = (): string[] =>
    changes.splice(0).map(({ kind, member }) => `${kind} ${member.name}`);
  told();
  spread.length = 0;
  return { time, table, awareness, spread, members, stateOf, told, dropped };
}

suite('membership', (test) => {
  test('a member joins, is told on, changes its tags with a higher incarnation, and old news is nothing', () => {
    const { members, stateOf, told, spread } = listOf();
    members.alive(alive('a', 1));
    members.alive(alive('a', 1));
    members.alive(alive('a', 3, 1, 'tags'));
    members.alive(alive('a', 2, 1, 'older tags'));
    assert.is(stateOf('a'), 'alive 3');
    assert.equal(told(), ['join a', 'update a']);
    assert.is(spread.length, 2);
  });

  test('a suspect that says nothing dies when its time is over, sooner the more confirm it', () => {
    for (const [confirmations, seconds] of [
      [0, 24],
      [1, 11.381],
      [2, 4],
    ] as const) {
      const { members, time, stateOf, told } = listOf();
      for (const name of 'abcdefgh') members.alive(alive(name, 1, name.charCodeAt(0)));
      told();
      members.suspect({ name: 'a', incarnation: 1, from: 'b' });
      for (const from of ['b', ...['c', 'd'].slice(0, confirmations), 'c'])
        if (confirmations > 0 || from === 'b') members.suspect({ name: 'a', incarnation: 1, from });
      time.runUntil(1000 * seconds - 1);
      assert.is(stateOf('a'), 'suspect 1', String(confirmations));
      time.runUntil(1000 * seconds + 1);
      assert.is(stateOf('a'), 'dead 1', String(confirmations));
      assert.equal(told(), ['suspect a', 'fail a']);
    }
  });

  test('a suspect lives on by a higher incarnation, not by the same', () => {
    const { members, time, stateOf } = listOf();
    members.alive(alive('a', 1));
    members.suspect({ name: 'a', incarnation: 1, from: 'b' });
    members.alive(alive('a', 1));
    assert.is(stateOf('a'), 'suspect 1');
    members.alive(alive('a', 2));
    assert.is(stateOf('a'), 'alive 2');
    time.runUntil(1_000_000);
    assert.is(stateOf('a'), 'alive 2');
  });

  test('whoever says that this member is suspect or dead is outbid, and it doubts itself', () => {
    for (const kind of ['suspect', 'dead'] as const) {
      const { members, stateOf, spread, awareness } = listOf();
      members[kind]({ name: 'me', incarnation: 41, from: 'b' });
      assert.is(stateOf('me'), 'alive 42');
      assert.is(spread.length, 1);
      assert.is(awareness.score, 1);
      members[kind]({ name: 'me', incarnation: 41, from: 'c' });
      assert.is(stateOf('me'), 'alive 42');
    }
  });

  test('an earlier life of this member with other tags is outbid', () => {
    const { members, stateOf } = listOf();
    members.alive({ ...alive('me', 7, 99, 'old tags') });
    assert.is(stateOf('me'), 'alive 8');
  });

  test('a goodbye is a leave, also from this member itself', () => {
    const { members, stateOf, told } = listOf();
    members.alive(alive('a', 1));
    told();
    members.dead({ name: 'a', incarnation: 1, from: 'a' });
    assert.is(stateOf('a'), 'left 1');
    members.leave(() => undefined);
    assert.is(stateOf('me'), 'left 1');
    assert.equal(told(), ['leave a', 'leave me']);
    members.alive(alive('me', 9, 99));
    assert.is(stateOf('me'), 'left 1');
  });

  test('a name from another address is a conflict, unless its member left or may be replaced', () => {
    const { members, stateOf, told } = listOf();
    members.alive(alive('a', 1, 1));
    members.alive(alive('a', 9, 2));
    assert.is(stateOf('a'), 'alive 1');
    assert.equal(told(), ['join a', 'conflict a']);
    members.dead({ name: 'a', incarnation: 1, from: 'a' });
    members.alive(alive('a', 1, 2));
    assert.is(stateOf('a'), 'alive 1');
    const other = listOf('me', 30_000);
    other.members.alive(alive('a', 5, 1));
    other.members.dead({ name: 'a', incarnation: 5, from: 'b' });
    other.members.alive(alive('a', 1, 2));
    assert.is(other.stateOf('a'), 'dead 5');
    other.time.runUntil(30_001);
    other.members.alive(alive('a', 1, 2));
    assert.is(other.stateOf('a'), 'alive 1');
  });

  test('whom another holds dead is suspected here, whom it holds left has left', () => {
    const { members, stateOf } = listOf();
    for (const name of ['a', 'b', 'c']) members.alive(alive(name, 1, name.charCodeAt(0)));
    members.merge({ ...alive('a', 1, 97), state: 'dead' });
    members.merge({ ...alive('b', 1, 98), state: 'left' });
    members.merge({ ...alive('c', 4, 99), state: 'alive' });
    assert.equal(['a', 'b', 'c'].map(stateOf), ['suspect 1', 'left 1', 'alive 4']);
  });

  test('the same messages in any order give the same list, and no incarnation ever falls', () => {
    const random = seededRandom(21);
    const deck: ((members: Membership) => void)[] = [];
    for (const name of ['a', 'b', 'c'])
      for (let incarnation = 1; incarnation <= 3; incarnation++) {
        const last = name.charCodeAt(0);
        deck.push((members) => {
          members.alive(alive(name, incarnation, last));
        });
        deck.push((members) => {
          members.dead({ name, incarnation, from: 'x' });
        });
      }
    for (const name of ['a', 'b'])
      deck.push((members) => {
        members.alive(alive(name, 4, name.charCodeAt(0)));
      });
    const ends = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const { members, table, stateOf } = listOf();
      for (const name of ['a', 'b', 'c']) members.alive(alive(name, 0, name.charCodeAt(0)));
      const order = deck.map((play) => ({ play, at: random() })).sort((x, y) => x.at - y.at);
      const highest = new Map<string, number>();
      for (const { play } of order) {
        play(members);
        for (const { name, incarnation } of table) {
          assert.ok(incarnation >= (highest.get(name) ?? 0));
          highest.set(name, incarnation);
        }
      }
      ends.add(JSON.stringify(['a', 'b', 'c'].map(stateOf)));
    }
    assert.equal([...ends], [JSON.stringify(['alive 4', 'alive 4', 'dead 3'])]);
  });

  test('what is said of nobody, of before, with no versions, and of one too many is dropped and told', () => {
    const { members, dropped, table } = listOf('me', 0, 3);
    members.alive(alive('a', 5));
    members.suspect({ name: 'x', incarnation: 1, from: 'a' });
    members.suspect({ name: 'a', incarnation: 4, from: 'b' });
    members.dead({ name: 'a', incarnation: 4, from: 'b' });
    members.alive(alive('a', 4));
    members.alive(alive('a', 5));
    members.alive({ ...alive('b', 1), versions: new Uint8Array(6) });
    members.alive(alive('a', 9, 77));
    members.alive(alive('b', 1));
    members.alive(alive('c', 1));
    assert.equal(dropped, [
      'unknown_member',
      'stale',
      'stale',
      'stale',
      'unfit',
      'conflict',
      'over_limit',
    ]);
    assert.is(table.size, 3);
  });

  test('lies about this member are refuted and counted, old ones are nothing', () => {
    const { members, stateOf, dropped } = listOf();
    members.dead({ name: 'me', incarnation: 7, from: 'me' });
    assert.is(stateOf('me'), 'alive 8');
    members.suspect({ name: 'me', incarnation: 8, from: 'a' });
    members.alive(alive('me', 20, 99, 'other tags'));
    assert.is(stateOf('me'), 'alive 21');
    assert.is(members.refuted, 3);
    members.dead({ name: 'me', incarnation: 7, from: 'me' });
    assert.is(members.refuted, 3);
    assert.equal(dropped, ['stale']);
  });

  test('who was away itself gives suspects as much more time', () => {
    const { members, time, stateOf } = listOf();
    for (const name of 'abcdefgh') members.alive(alive(name, 1, name.charCodeAt(0)));
    members.suspect({ name: 'a', incarnation: 1, from: 'b' });
    time.runUntil(20_000);
    members.stalled(5000);
    time.runUntil(28_900);
    assert.is(stateOf('a'), 'suspect 1');
    time.runUntil(29_100);
    assert.is(stateOf('a'), 'dead 1');
  });
});
