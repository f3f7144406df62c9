import { rm } from 'node:fs/promises';
import path from 'node:path';

import { math, sequence, storage } from '../../applications/sdk/index.js';
import type { DataCenter } from '../../applications/sdk/index.js';
import { sleep } from '../../runtime/deadline.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';
import { Nodes } from '../controllers/kernel/nodes.js';
import { assert, suite } from '../suite.js';
import { startEnsemble, whyNoZooKeeper } from '../zookeeper/ensemble-fixture.js';
import type { EnsembleFixture } from '../zookeeper/ensemble-fixture.js';
import { membersWhen } from '../zookeeper/member-fixture.js';
import { Shared } from './live-data-center.js';

const SESSION_MS = 2000;
/** So long that every session would have ended by its own clock. */
const AWAY_MS = 3.5 * SESSION_MS;
const NAMES = ['storage-1', 'storage-2', 'math-1', 'application-1', 'application-2'];
const skip = await whyNoZooKeeper();

/** Real nodes and three real ZooKeeper servers that break. */
class FaultyDataCenter implements AsyncDisposable {
  readonly #zookeeper: EnsembleFixture;
  readonly #nodes: Nodes;
  readonly client: DataCenter;

  private constructor(zookeeper: EnsembleFixture, nodes: Nodes) {
    this.#zookeeper = zookeeper;
    this.#nodes = nodes;
    this.client = nodes.client();
  }

  static async start(): Promise<FaultyDataCenter> {
    const zookeeper = await startEnsemble({ servers: 3 });
    const nodes = await Nodes.start({ zookeeper: zookeeper.connect });
    await Promise.all([nodes.storage('storage-1'), nodes.math('math-1')]);
    await nodes.storage('storage-2');
    await nodes.application('application-1');
    await nodes.application('application-2');
    return new FaultyDataCenter(zookeeper, nodes);
  }

  get coordinators(): readonly Coordinator[] {
    return NAMES.map((name) => this.#nodes.node(name).coordinator);
  }

  members(): readonly Member[] {
    return this.coordinators[0]!.members();
  }

  /** Freezes so many servers, ZooKeeper's leader first. Returns what kills them: each is then started again. */
  freeze(count: number): { readonly kill: () => void } {
    const servers = [...this.#zookeeper.ensemble.servers].sort(
      (a, b) => Number(b.mode === 'leader') - Number(a.mode === 'leader'),
    );
    const frozen = servers.slice(0, count);
    for (const { pid } of frozen) process.kill(pid, 'SIGSTOP');
    return {
      kill: () => {
        for (const { pid } of frozen) process.kill(pid, 'SIGKILL');
      },
    };
  }

  /** Ends all servers: nobody listens at their ports until `return`. */
  async stopAll(): Promise<{ readonly return: () => void }> {
    const { ensemble } = this.#zookeeper;
    await ensemble.halt();
    return {
      return: () => {
        ensemble.resume();
      },
    };
  }

  /** What all servers keep is gone; they don't run. */
  async wipe(): Promise<void> {
    for (const { id } of this.#zookeeper.ensemble.servers)
      await rm(path.join(this.#zookeeper.path, `server-${String(id)}`, 'data', 'version-2'), {
        recursive: true,
      });
  }

  /** Resolves when all nodes are in this state with the coordinator. */
  async all(state: Coordinator['state']): Promise<void> {
    await Promise.all(this.coordinators.map((one) => stateOf(one, state)));
  }

  /** Resolves when all nodes list all members, in lives for which `wanted` holds. */
  async allListed(wanted: (member: Member) => boolean): Promise<void> {
    const isListed = (members: readonly Member[]): boolean =>
      members.length === NAMES.length && members.every(wanted);
    await Promise.all(this.coordinators.map((one) => membersWhen(one, isListed)));
  }

  /** As the leading application node tells it. */
  async oneLeaderEach(): Promise<void> {
    const described = await this.client.members();
    for (const type of ['storage', 'application'])
      assert.is(described.filter((one) => one.type === type && one.leader).length, 1, type);
  }

  async run(): Promise<void> {
    const flow = sequence(
      math.multiply({ input: 6n, by: 7n }),
      storage.write({ client: 'admin', name: 'answer.txt' }),
    );
    await this.client.run(flow, { budgetMs: 15_000 });
  }

  /** Runs one after another until `done` has settled; returns how many succeeded. */
  async runUntil(done: Promise<unknown>): Promise<number> {
    const over = new AbortController();
    const ended = done.finally(() => {
      over.abort();
    });
    let succeeded = 0;
    do {
      await this.run();
      succeeded++;
    } while (!over.signal.aborted);
    await ended;
    return succeeded;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#nodes[Symbol.asyncDispose]();
    await this.#zookeeper[Symbol.asyncDispose]();
  }
}

function stateOf(coordinator: Coordinator, wanted: Coordinator['state']): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (coordinator.state !== wanted) return;
      stop();
      resolve();
    };
    const stop = coordinator.onState(look);
    look();
  });
}

const shared = new Shared(() => FaultyDataCenter.start());

suite('a data center whose ZooKeeper breaks', (define) => {
  const test: typeof define = (name, body) => {
    define(name, body, { timeoutMs: 60_000, skip });
  };
  const epochs = (members: readonly Member[]): readonly bigint[] =>
    members.map(({ epoch }) => epoch);
  const newest = (members: readonly Member[]): bigint =>
    epochs(members).reduce((a, b) => (a > b ? a : b), 0n);

  test('one server of three is killed: no run notices, and nobody registers again', async () => {
    const dataCenter = await shared.get();
    const before = epochs(dataCenter.members());
    const server = dataCenter.freeze(1);
    server.kill();
    assert.ok((await dataCenter.runUntil(sleep(1000))) > 1);
    await dataCenter.all('connected');
    assert.equal(epochs(dataCenter.members()), before);
  });

  test('two of three are away for longer than the session timeout: leaders go on, runs succeed, and all are the same when it is mended', async () => {
    const dataCenter = await shared.get();
    const before = epochs(dataCenter.members());
    const servers = dataCenter.freeze(2);
    await dataCenter.all('suspended');
    assert.ok((await dataCenter.runUntil(sleep(1.5 * SESSION_MS))) > 2);
    for (const { state } of dataCenter.coordinators) assert.is(state, 'suspended');
    servers.kill();
    await dataCenter.runUntil(dataCenter.all('connected'));
    assert.equal(epochs(dataCenter.members()), before);
  });

  test('all three are away for several session timeouts and come back with their data: runs go on meanwhile, and nobody registers again', async () => {
    const dataCenter = await shared.get();
    const before = epochs(dataCenter.members());
    const servers = await dataCenter.stopAll();
    assert.ok((await dataCenter.runUntil(sleep(AWAY_MS))) > 5);
    for (const { state } of dataCenter.coordinators) assert.is(state, 'suspended');
    servers.return();
    await dataCenter.runUntil(dataCenter.all('connected'));
    assert.equal(epochs(dataCenter.members()), before);
    await dataCenter.oneLeaderEach();
  });

  test('all three are away for several session timeouts and come back empty: members register again by themselves, with later epochs', async () => {
    const dataCenter = await shared.get();
    const before = newest(dataCenter.members());
    const servers = await dataCenter.stopAll();
    await dataCenter.wipe();
    await dataCenter.runUntil(sleep(AWAY_MS));
    servers.return();
    await dataCenter.runUntil(dataCenter.allListed(({ epoch }) => epoch > before));
    await dataCenter.oneLeaderEach();
    await dataCenter.run();
  });

  test('all sessions end at once: each type has one leader again', async () => {
    const dataCenter = await shared.get();
    const before = newest(dataCenter.members());
    await Promise.all(dataCenter.coordinators.map((one) => one.expireSession()));
    await dataCenter.allListed(({ epoch }) => epoch > before);
    await dataCenter.run();
    await dataCenter.oneLeaderEach();
  });

  test('nothing of it is left', async () => {
    await shared.close();
  });
});
