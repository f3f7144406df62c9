import { Directory } from '../../../controllers/kernel/directory.js';
import { Leadership } from '../../../controllers/kernel/leadership.js';
import { ChannelPool } from '../../../runtime/channels.js';
import { systemClock } from '../../../runtime/clock.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { Member, Registration } from '../../../zookeeper/coordinator.js';
import { assert, suite } from '../../suite.js';
import { member, MemberList } from './member-list.js';

const [leader, next, last] = [1, 2, 3].map((sequence) =>
  member(`storage-${String(sequence)}`, {
    ...{ sequence, routing: 'leader', epoch: BigInt(sequence), address: '127.0.0.1:1' },
  }),
) as [Member, Member, Member];

/** The leadership of one of three, whose registration the test writes. */
function leadershipOf(self: Member) {
  const list = new MemberList(leader, next, last);
  const directory = new Directory(list, systemClock);
  const channels = new ChannelPool();
  const told = new Set<(registration: Registration) => void>();
  const registration = {
    ...{ member: self, leads: false, leadsUntilMs: -Infinity },
    subscribe: (listener: (registration: Registration) => void) => {
      told.add(listener);
      return () => told.delete(listener);
    },
    renew: () => Promise.resolve(),
    withdraw: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const leadership = new Leadership(registration, {
    ...{ coordinator: list, directory, channels, log: silentLogger() },
    links: { watch: () => () => undefined },
    onChange: () => undefined,
  });
  const lead = (): void => {
    registration.leads = true;
    for (const listener of [...told]) listener(registration);
  };
  const close = (): void => {
    leadership.close();
    directory.close();
    channels.close();
  };
  return { leadership, directory, list, lead, [Symbol.dispose]: close };
}

suite('leadership', (test) => {
  test('who is next while the leader leaves has callers wait until it serves', async () => {
    using one = leadershipOf(next);
    assert.is(one.leadership.servesSoon(), undefined, 'the leader stays');
    one.directory.leaves(leader, 1000);
    const soon = one.leadership.servesSoon();
    assert.ok(soon);
    assert.is(one.leadership.servesSoon(), soon, 'all wait for the same');
    assert.is(one.leadership.serves, false);
    one.list.set(next, last);
    one.lead();
    await soon;
    assert.is(one.leadership.serves, true);
    assert.is(one.leadership.servesSoon(), undefined);
  });

  test('others than the next one refuse at once', () => {
    using one = leadershipOf(last);
    one.directory.leaves(leader, 1000);
    assert.is(one.leadership.servesSoon(), undefined);
  });

  test('nobody waits any more for one that is not next after all, nor for long', async () => {
    using one = leadershipOf(next);
    one.directory.leaves(leader, 1000);
    const soon = one.leadership.servesSoon();
    one.list.set(leader, last);
    await soon;
    one.list.set(leader, next, last);
    const startedAtMs = performance.now();
    await one.leadership.servesSoon();
    assert.ok(performance.now() - startedAtMs < 1000);
    assert.is(one.leadership.serves, false);
  });
});
