import { ProcessClock } from '../../../gossip/simulator/process-clock.js';
import { VirtualTime } from '../../../gossip/simulator/virtual-time.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

suite('virtual time', (test) => {
  test('what is due comes in order of its time, then of the asking, however far away it is', () => {
    const random = seededRandom(5);
    const time = new VirtualTime();
    const asked: { readonly atMs: number; readonly order: number }[] = [];
    const came: typeof asked = [];
    const ask = (delayMs: number, then: number): void => {
      const one = { atMs: time.monotonicMs() + delayMs, order: asked.length };
      asked.push(one);
      time.schedule(delayMs, () => {
        assert.is(time.monotonicMs(), one.atMs);
        came.push(one);
        // A half of them ask for more, some for what is due at once.
        if (then > 0) ask(random() < 0.3 ? 0 : Math.round(random() * 20_000) / 8, then - 1);
      });
    };
    for (let at = 0; at < 2000; at++)
      ask(Math.round(random() * 100) * (at % 7 === 0 ? 300 : 1), at % 4);
    for (let untilMs = 0; untilMs < 60_000; untilMs += 777) time.runUntil(untilMs);
    assert.is(came.length, asked.length);
    const ordered = [...came].sort(
      (one, other) => one.atMs - other.atMs || one.order - other.order,
    );
    assert.equal(came, ordered);
  });

  test('what is cancelled does not come', () => {
    const time = new VirtualTime();
    const came: string[] = [];
    // One after the other in the same second, each cancelled at another time and place among them: first, last, between, alone.
    const cancels: (() => void)[] = [];
    for (const delayMs of [1, 5000, 5000, 30_000, 30_000, 90_000]) {
      cancels.push(time.schedule(delayMs, () => came.push('cancelled')));
      time.schedule(delayMs, () => came.push(`stays until ${String(delayMs)}`));
      cancels.push(time.schedule(delayMs, () => came.push('cancelled')));
      cancels.push(time.schedule(delayMs, () => came.push('cancelled')));
    }
    cancels.push(time.schedule(60_000, () => came.push('cancelled')));
    for (const [at, cancel] of cancels.entries()) {
      if (at === 9) time.runUntil(2000);
      cancel();
      cancel();
    }
    time.runUntil(100_000);
    assert.equal(
      came,
      [1, 5000, 5000, 30_000, 30_000, 90_000].map((ms) => `stays until ${String(ms)}`),
    );
  });

  test('a stopped process does nothing until it goes on, and hears first how long it was away', () => {
    const time = new VirtualTime();
    const came: string[] = [];
    const at = (what: string) => () => came.push(`${what} at ${String(time.monotonicMs())}`);
    const clock = new ProcessClock(time, (lateMs) => came.push(`away for ${String(lateMs)}`));
    const cancel = clock.schedule(30, at('cancelled'));
    clock.schedule(20, () => {
      at('one')();
      cancel();
    });
    clock.schedule(700, at('other'));
    clock.pause(500);
    time.runUntil(1000);
    assert.equal(came, ['away for 500', 'one at 500', 'other at 700']);
  });
});
