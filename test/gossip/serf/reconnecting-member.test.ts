import { lan } from '../../../gossip/core/profile.js';
import type { Profile } from '../../../gossip/core/profile.js';
import { SerfMember } from '../../../gossip/serf/serf-member.js';
import { ManualClock } from '../../../runtime/clock.js';
import { assert, suite } from '../../suite.js';
import { Changes } from '../changes.js';

const quick: Profile = {
  ...lan,
  ...{ probeIntervalMs: 100, probeTimeoutMs: 40, gossipIntervalMs: 20, pushPullIntervalMs: 300 },
  ...{ gossipToTheDeadMs: 200, tcpTimeoutMs: 200 },
};

/** A member, with what it hears. */
async function member(name: string, port = 0) {
  const [heard, changes] = [[] as string[], new Changes()];
  const serf = await SerfMember.create({
    ...{ name, bind: '127.0.0.1', port, profile: quick },
    onChange: ({ kind, member: { name: whom } }) => {
      heard.push(`${kind} ${whom}`);
      changes.happened();
    },
  });
  const at = serf.list.localMember().port;
  return { serf, heard, changes, port: at, [Symbol.asyncDispose]: () => serf.stop() };
}

suite('a member among agents of Serf', (test) => {
  test('starts without a failure, and hears itself come', async () => {
    await using one = await member('one');
    assert.equal(one.heard, ['join one']);
    assert.equal([...one.serf.list.counts.dropped], []);
  });

  test('finds one that failed again when it is back, though that one joins nobody', async () => {
    await using one = await member('one');
    const { port } = await (async () => {
      await using gone = await member('two');
      await gone.serf.join([`127.0.0.1:${String(one.port)}`]);
      assert.is(one.serf.list.members().length, 2);
      return gone;
    })();
    await one.changes.until(() => one.heard.includes('fail two'));
    await using back = await member('two', port);
    await one.changes.until(() => one.heard.length > 4);
    await back.changes.until(() => back.heard.length > 1);
    assert.equal(one.heard, ['join one', 'join two', 'suspect two', 'fail two', 'join two']);
    assert.equal(back.heard, ['join two', 'join one']);
  });

  test('waits by the clock that it was given until nobody takes its goodbye', async () => {
    const clock = new ManualClock();
    const options = { bind: '127.0.0.1', port: 0 };
    // It never says anything by itself.
    const profile = { ...quick, gossipIntervalMs: 1e9, probeIntervalMs: 1e9 };
    await using one = await SerfMember.create({ name: 'one', ...options, profile: quick });
    await using two = await SerfMember.create({ name: 'two', ...options, profile, clock });
    await two.join([`127.0.0.1:${String(one.list.localMember().port)}`]);
    let isGone = false;
    const leaving = two.leave(3_600_000).then(() => {
      isGone = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    assert.not.ok(isGone);
    // Half of it for what it means to do, the rest for its goodbye.
    for (let half = 0; half < 2; half++) {
      clock.advance(1_800_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await leaving;
  });
});
