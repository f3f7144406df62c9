import type { Endpoint, MemberView } from '../../../gossip/core/member.js';
import { lan } from '../../../gossip/core/profile.js';
import { Reconnection } from '../../../gossip/serf/reconnection.js';
import { ManualClock } from '../../../runtime/clock.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

const NOTHING = new Uint8Array();

function view(place: number): MemberView {
  return {
    ...{ name: `n${String(place)}`, address: Uint8Array.of(10, 0, 0, place), port: 7946 },
    ...{ meta: NOTHING, versions: NOTHING, incarnation: 1, state: 'dead', since: 0 },
  };
}

/** One of ten, of whom so many are reached. */
function oneOf(here: number, isReached: boolean) {
  const clock = new ManualClock();
  const tried: number[] = [];
  const reconnection = new Reconnection({
    ...{ clock, random: seededRandom(1), profile: lan, here: () => here },
    exchange: ({ address }: Endpoint, done) => {
      tried.push(address[3] ?? 0);
      if (isReached) done();
    },
  });
  return { clock, tried, reconnection };
}

suite('reconnection', (test) => {
  test('one that failed is tried again about as often as all together should, until it is back', () => {
    const { clock, tried, reconnection } = oneOf(10, false);
    reconnection.changed({ kind: 'fail', member: view(1) });
    clock.advance(100 * lan.pushPullIntervalMs);
    assert.ok(tried.length >= 3 && tried.length <= 25, String(tried.length));
    reconnection.changed({ kind: 'join', member: view(1) });
    const before = tried.length;
    clock.advance(100 * lan.pushPullIntervalMs);
    assert.is(tried.length, before);
    assert.is(clock.pending, 0);
  });

  test('where one is reached there is a second exchange, which brings what its side answered', () => {
    const { clock, tried, reconnection } = oneOf(1, true);
    for (const place of [1, 2]) reconnection.changed({ kind: 'fail', member: view(place) });
    clock.advance(lan.pushPullIntervalMs);
    const [first] = tried;
    clock.advance(3000);
    assert.equal(tried.slice(0, 2), [first, first]);
  });

  test('when most of many are back the rest is asked for, though nobody else failed', () => {
    const { clock, tried, reconnection } = oneOf(1_000_000, false);
    for (let place = 0; place < 10; place++)
      reconnection.changed({ kind: 'fail', member: view(place) });
    for (let place = 0; place < 9; place++)
      reconnection.changed({ kind: 'join', member: view(place) });
    clock.advance(60_000);
    assert.equal(tried, [9, 9, 9]);
  });

  test('who left, or was removed by an operator, is not tried, nor anybody once it has stopped', () => {
    const { clock, tried, reconnection } = oneOf(1, false);
    for (const place of [1, 2, 3]) reconnection.changed({ kind: 'fail', member: view(place) });
    reconnection.changed({ kind: 'leave', member: view(1) });
    reconnection.forget('n2');
    clock.advance(10 * lan.pushPullIntervalMs);
    assert.equal([...new Set(tried)], [3]);
    reconnection.stop();
    const before = tried.length;
    clock.advance(10 * lan.pushPullIntervalMs);
    assert.is(tried.length, before);
  });
});
