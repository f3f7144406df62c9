import { networkInterfaces } from 'node:os';

import { PrivateLinkFaults } from '../../launcher/chaos/private-link-faults.js';
import type { LinkFaults } from '../../launcher/chaos/link-faults.js';
import { assert, suite } from '../suite.js';
import { noLinks } from '../launcher/network/network-process.js';
import { LiveDataCenter, Shared } from './live-data-center.js';
import { MemberWatch } from './member-watch.js';
import type { WatchedMember } from './member-watch.js';

interface Answer {
  readonly factorial: string;
  readonly runs: readonly { readonly receipts: readonly { operation: string; member: string }[] }[];
}

const timeoutMs = 60_000;
const skip = noLinks();

/** Three ZooKeeper servers, two storages, and one of each that a run needs beside them. */
const SETTINGS = {
  FRACTORY_ZOOKEEPER_SESSION_TIMEOUT_MS: '2000',
  FRACTORY_CONTROLLERS_CONTROLLER_NAMES:
    'math_controller, application_controller, storage_controller',
};

const shared = new Shared(() => LiveDataCenter.up(SETTINGS, '--namespaces'));

async function faultsOf(dataCenter: LiveDataCenter): Promise<LinkFaults> {
  const record = await dataCenter.record();
  if (!record.network) throw new Error('the data center has no network of its own');
  return new PrivateLinkFaults(dataCenter.statePath, record, record.network);
}

/** Runs an application that computes and stores; returns who stored. */
async function storedBy(dataCenter: LiveDataCenter): Promise<string | undefined> {
  const { factorial, runs } = await dataCenter.json<Answer>('run', 'template', '--n', '9');
  assert.is(factorial, '362880');
  return runs[0]?.receipts.find(({ operation }) => operation === 'storage.write')?.member;
}

/** The storage that leads, if there are two. */
function leaderOfTwo(members: readonly WatchedMember[]): WatchedMember | undefined {
  const storages = members.filter(({ type }) => type === 'storage');
  return storages.length === 2 ? storages.find(({ leader }) => leader) : undefined;
}

suite('a data center in namespaces', (test) => {
  test(
    'gives every node and every ZooKeeper server an address of its own, and none to the machine',
    async () => {
      const before = Object.keys(networkInterfaces());
      const dataCenter = await shared.get();
      const { members } = await dataCenter.status();
      const { coordinator, network } = await dataCenter.record();
      const hosts = members.map(({ address }) => address.split(':')[0] ?? '');
      const servers = coordinator.replace('zookeeper://', '').split(',');
      const all = [...hosts, ...servers.map((server) => server.split(':')[0] ?? '')];
      assert.is(new Set(all).size, 4 + 3);
      assert.ok(
        all.every((address) => address.startsWith('10.231.0.')),
        all.join(),
      );
      assert.equal([...all].sort(), network?.links.map(({ address }) => address).sort());
      assert.equal(Object.keys(networkInterfaces()), before);
    },
    { timeoutMs, skip },
  );

  test(
    'commands find their way in: runs, programs of others, nodes started by hand',
    async () => {
      const dataCenter = await shared.get();
      await storedBy(dataCenter);
      const { address } = await dataCenter.leader('math');
      const connect = `require('net').connect(${address.split(':')[1] ?? ''}, '${address.split(':')[0] ?? ''}', () => process.exit(7))`;
      assert.is((await dataCenter.run('inside', process.execPath, '-e', connect)).code, 7);
      const hand = dataCenter.start('node', 'math', '--name', 'math-9');
      await hand.said('the log of the node follows');
      assert.match((await dataCenter.member('math-9')).address, /^10\.231\.0\.1:/);
      hand.signal('SIGINT');
      const { code, stderr } = await hand.ended;
      assert.is(code, 130);
      assert.match(stderr, 'math-9 is stopped');
    },
    { timeoutMs, skip },
  );

  for (const [what, from, oneWay] of [
    ['from ZooKeeper only', ['zookeeper'], false],
    ['from the other nodes only', ['nodes'], false],
    ['from all, in one way', undefined, true],
  ] as const)
    test(
      `a storage leader cut off ${what} is replaced, runs go on, and it comes back behind the other`,
      async ({ signal }) => {
        const dataCenter = await shared.get();
        const faults = await faultsOf(dataCenter);
        await using watch = await MemberWatch.start(dataCenter);
        const before = await watch.when((members) => leaderOfTwo(members) !== undefined, signal);
        const leader = leaderOfTwo(before);
        assert.ok(leader);
        await faults.partition({ members: [leader.id], from, oneWay });
        // Until its session may have ended it leads rightly; every run succeeds, at first there.
        while ((await storedBy(dataCenter)) === leader.id) signal.throwIfAborted();
        await faults.heal();
        const after = await watch.when(
          (members) =>
            leaderOfTwo(members) !== undefined &&
            members.some(({ id, epoch }) => id === leader.id && epoch !== leader.epoch),
          signal,
        );
        assert.is.not(leaderOfTwo(after)?.id, leader.id);
      },
      { timeoutMs, skip },
    );

  test('stops whole', async () => {
    await shared.close();
  }, { skip, timeoutMs }); // prettier-ignore

  test(
    'ends whole with its launcher, also when that is killed',
    async ({ signal }) => {
      await using dataCenter = await LiveDataCenter.create(SETTINGS);
      const up = dataCenter.start('up', '--namespaces', '--no-zookeeper');
      await up.said('logs of the nodes follow');
      assert.match((await dataCenter.record()).coordinator, 'embedded://10.231.0.2:');
      const pids = await dataCenter.pids();
      process.kill(pids[0] ?? 0, 'SIGKILL');
      await up.ended;
      await dataCenter.nothingLeft(pids, signal);
    },
    { timeoutMs, skip },
  );
});
