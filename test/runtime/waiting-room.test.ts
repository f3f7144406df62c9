import { ManualClock } from '../../runtime/clock.js';
import { WaitingRoom } from '../../runtime/waiting-room.js';
import type { Turn } from '../../runtime/waiting-room.js';
import { assert, suite } from '../suite.js';

function roomOf(limit = 1, places = 4) {
  const clock = new ManualClock(0);
  const state = { limit };
  const room = new WaitingRoom({ places, clock, limit: () => state.limit });
  const turns: string[] = [];
  const enter = (name: string, patienceMs = 100): (() => void) =>
    room.enter(patienceMs, (turn: Turn) => {
      turns.push(`${name} ${turn}`);
    });
  /** What has been settled since the last call. */
  const settled = (): string[] => turns.splice(0);
  return { clock, state, room, enter, settled };
}

suite('waiting room', (test) => {
  test('lets in up to its limit, has a bounded number wait, and turns the rest away', () => {
    const { enter, settled, room } = roomOf(2, 2);
    for (const name of ['a', 'b', 'c', 'd', 'e']) enter(name);
    assert.equal(settled(), ['a entered', 'b entered', 'e full']);
    assert.equal([room.inside, room.waiting], [2, 2]);
  });

  test('who waits enters in the order of arrival while the queue drains', () => {
    const { enter, settled, room } = roomOf();
    for (const name of ['a', 'b', 'c']) enter(name);
    room.leave();
    room.leave();
    assert.equal(settled(), ['a entered', 'b entered', 'c entered']);
    assert.is(room.inside, 1);
  });

  test('nobody overtakes those who wait', () => {
    const { enter, settled, room, state } = roomOf();
    enter('a');
    enter('b');
    state.limit = 2;
    assert.not.ok(room.tryEnter());
    room.admit();
    assert.equal(settled(), ['a entered', 'b entered']);
  });

  test('waiting ends when the patience is at its end', () => {
    const { enter, settled, clock } = roomOf();
    enter('a');
    enter('b', 50);
    clock.advance(49);
    assert.equal(settled(), ['a entered']);
    clock.advance(11);
    assert.equal(settled(), ['b expired']);
    assert.is(clock.pending, 0, 'no timer is left behind');
  });

  test('a queue that stands cuts waiting short and lets the youngest in first', () => {
    const { enter, settled, clock, room } = roomOf();
    enter('a');
    enter('b');
    clock.advance(90);
    enter('c');
    enter('d');
    clock.advance(10);
    assert.equal(settled(), ['a entered', 'b expired'], 'from now on the queue stands');
    enter('e');
    room.leave();
    clock.advance(20);
    assert.equal(settled(), ['e entered', 'c expired', 'd expired']);
  });

  test('whoever gives up waiting leaves a free place', () => {
    const { enter, settled, room, clock } = roomOf(1, 1);
    enter('a');
    const giveUp = enter('b');
    giveUp();
    giveUp();
    enter('c');
    assert.equal(settled(), ['a entered', 'b left']);
    assert.is(room.waiting, 1);
    room.close();
    assert.equal(settled(), ['c left']);
    assert.is(clock.pending, 0);
  });
});
