import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { assert, suite } from '../suite.js';
import { whyNoZooKeeper } from '../zookeeper/ensemble-fixture.js';
import { LiveDataCenter, Shared } from './live-data-center.js';
import { Znodes } from './znodes.js';

const skip = await whyNoZooKeeper();
const SERVERS = ['zookeeper-1', 'zookeeper-2', 'zookeeper-3'];
const shared = new Shared(() =>
  LiveDataCenter.up({
    FRACTORY_CONTROLLERS_CONTROLLER_NAMES:
      'math_controller, application_controller, storage_controller',
    FRACTORY_STORAGE_CONTROLLER_INSTANCES: '1',
  }),
);

async function znodesOf(dataCenter: LiveDataCenter): Promise<Znodes> {
  const { coordinator } = await dataCenter.record();
  const secret = await readFile(path.join(dataCenter.statePath, 'secret'), 'utf8');
  return Znodes.connect(coordinator.replace('zookeeper://', ''), secret.trim());
}

async function epochsOf(dataCenter: LiveDataCenter): Promise<bigint[]> {
  return (await dataCenter.status()).members.map(({ epoch }) => BigInt(epoch));
}

/** Pid of each server as the launcher has written it down. */
async function serverPids(dataCenter: LiveDataCenter): Promise<Map<string, number>> {
  const { processes } = await dataCenter.record();
  const servers = processes.filter(({ kind }) => kind === 'zookeeper');
  return new Map(servers.map(({ name, pid }) => [name, pid]));
}

interface Restarts {
  readonly restarted: readonly { readonly member: string; readonly pid: number }[];
}

suite('an ensemble of the launcher', (define) => {
  const test: typeof define = (name, body) => {
    define(name, body, { timeoutMs: 60_000, skip });
  };

  test('a server is restarted by its name, the others and all nodes stay as they are', async () => {
    const dataCenter = await shared.get();
    const [servers, epochs] = [await serverPids(dataCenter), await epochsOf(dataCenter)];
    const { restarted } = await dataCenter.json<Restarts>('restart', 'zookeeper-2');
    assert.equal(
      restarted.map(({ member }) => member),
      ['zookeeper-2'],
    );
    const pid = restarted[0]?.pid ?? 0;
    assert.is.not(pid, servers.get('zookeeper-2'));
    assert.equal(await serverPids(dataCenter), new Map([...servers, ['zookeeper-2', pid]]));
    assert.equal(await epochsOf(dataCenter), epochs);
    await dataCenter.ok('run', 'template', '--n', '5');
  });

  test('a rolling restart takes its servers first, one at a time', async () => {
    const dataCenter = await shared.get();
    const before = await serverPids(dataCenter);
    const { restarted } = await dataCenter.json<Restarts>('restart', '--rolling');
    const names = restarted.map(({ member }) => member);
    assert.equal(names.slice(0, 3).sort(), SERVERS);
    assert.equal(names.slice(3), ['storage-1', 'math-1', 'application-1']);
    for (const [name, pid] of await serverPids(dataCenter)) assert.is.not(pid, before.get(name));
    await dataCenter.ok('run', 'template', '--n', '5');
  });

  test('a server that is killed is back by itself', async () => {
    const dataCenter = await shared.get();
    const before = await serverPids(dataCenter);
    await dataCenter.ok('chaos', 'kill', 'zookeeper-1', '--no-load');
    const after = await serverPids(dataCenter);
    assert.is.not(after.get('zookeeper-1'), before.get('zookeeper-1'));
    assert.equal([...after.keys()], SERVERS);
  });

  test('no server is stopped where the others would be no majority, and it is said why', async () => {
    const dataCenter = await shared.get();
    const before = await serverPids(dataCenter);
    process.kill(before.get('zookeeper-3') ?? 0, 'SIGSTOP');
    const { code, stderr } = await dataCenter.run('restart', 'zookeeper-2', 'math-1');
    process.kill(before.get('zookeeper-3') ?? 0, 'SIGCONT');
    assert.is(code, 1, stderr);
    assert.match(stderr, /without server 2 only 1 of 3 .* no majority; not restarted: math-1/);
    assert.equal(await serverPids(dataCenter), before);
  });

  test('what it keeps outlives down and up: data is there, and epochs go on rising', async () => {
    const dataCenter = await shared.get();
    const kept = '/fractory/fractory/kept';
    const before = await epochsOf(dataCenter);
    const stat = await (async () => {
      await using znodes = await znodesOf(dataCenter);
      await znodes.create(kept, 'still here');
      return (await znodes.read(kept)).stat;
    })();
    await dataCenter.ok('down');
    await dataCenter.ok('up', '--detach');
    await using znodes = await znodesOf(dataCenter);
    const after = await znodes.read(kept);
    assert.is(after.data.toString(), 'still here');
    assert.equal(after.stat.czxid, stat.czxid);
    const newest = before.reduce((a, b) => (a > b ? a : b));
    for (const epoch of await epochsOf(dataCenter)) assert.ok(epoch > newest);
    await dataCenter.ok('run', 'template', '--n', '5');
  });

  test('in the end nothing is left', async ({ signal }) => {
    const dataCenter = await shared.get();
    const pids = await dataCenter.pids();
    await shared.close();
    await dataCenter.nothingLeft(pids, signal);
  });
});
