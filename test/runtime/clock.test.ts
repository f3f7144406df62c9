import { ManualClock } from '../../runtime/clock.js';
import { assert, suite } from '../suite.js';

suite('manual clock', (test) => {
  test('runs what falls due in order of time, each at its own moment', () => {
    const clock = new ManualClock(0);
    const seen: [string, number][] = [];
    clock.schedule(20, () => seen.push(['b', clock.now()]));
    clock.schedule(10, () => {
      seen.push(['a', clock.now()]);
      clock.schedule(5, () => seen.push(['c', clock.now()]));
    });
    clock.advance(30);
    assert.equal(seen, [
      ['a', 10],
      ['c', 15],
      ['b', 20],
    ]);
    assert.is(clock.now(), 30);
  });

  test('a cancelled callback never runs', () => {
    const clock = new ManualClock();
    const cancel = clock.schedule(1, () => {
      assert.unreachable();
    });
    cancel();
    clock.advance(10);
    assert.is(clock.pending, 0);
  });
});
