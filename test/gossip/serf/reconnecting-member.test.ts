import { lan } from '../../../gossip/core/profile.js';
import type { Profile } from '../../../gossip/core/profile.js';
import { SerfMember } from '../../../gossip/serf/serf-member.js';
import { sleep } from '../../../runtime/deadline.js';
import { assert, suite } from '../../suite.js';

const quick: Profile = {
  ...lan,
  ...{ probeIntervalMs: 100, probeTimeoutMs: 40, gossipIntervalMs: 20, pushPullIntervalMs: 300 },
  ...{ gossipToTheDeadMs: 200, tcpTimeoutMs: 200 },
};

suite('a member among agents of Serf', (test) => {
  test('finds one that failed again when it is back, though that one joins nobody', async () => {
    const bind = '127.0.0.1';
    await using one = await SerfMember.create({ name: 'one', bind, port: 0, profile: quick });
    const { port } = await (async () => {
      await using gone = await SerfMember.create({ name: 'two', bind, port: 0, profile: quick });
      await gone.join([`${bind}:${String(one.list.localMember().port)}`]);
      assert.is(one.list.members().length, 2);
      return gone.list.localMember();
    })();
    while (one.list.members().length > 1) await sleep(20);
    await using back = await SerfMember.create({ name: 'two', bind, port, profile: quick });
    while (one.list.members().length < 2 || back.list.members().length < 2) await sleep(20);
    assert.is(back.list.members().length, 2);
  });
});
