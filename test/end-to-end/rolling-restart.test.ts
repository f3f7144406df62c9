import { application as shiftLeft } from '../../applications/shift-left.js';
import { DataCenter } from '../../applications/sdk/data-center.js';
import { parseCoordinator } from '../../config/coordinator-choice.js';
import { readSecret } from '../../config/node.js';
import { messageOf } from '../../runtime/errors.js';
import { silentLogger } from '../../runtime/logger.js';
import { createCoordinator } from '../../zookeeper/create.js';
import type { Coordinator } from '../../zookeeper/coordinator.js';
import { assert, suite } from '../suite.js';
import { whyNoZooKeeper } from '../zookeeper/ensemble-fixture.js';
import { leavesNothing, LiveDataCenter, Shared } from './live-data-center.js';

const skip = await whyNoZooKeeper();
const timeoutMs = 60_000;
const shared = new Shared(() =>
  LiveDataCenter.up({
    FRACTORY_ZOOKEEPER_SERVERS: '1',
    FRACTORY_CONTROLLERS_CONTROLLER_NAMES:
      'math_controller, application_controller, storage_controller',
  }),
);

/** Clients that run one application after the other until they are stopped; each waits for each of its runs. */
class Stream implements AsyncDisposable {
  readonly failures: string[] = [];
  succeeded = 0;
  #isStopped = false;
  readonly #client: DataCenter;
  readonly #workers: Promise<void>[];

  constructor(applicationNode: string, workers = 3) {
    this.#client = new DataCenter({
      ...{ application: 'stream', applicationNodes: [applicationNode] },
      credentials: { mode: 'open' },
    });
    this.#workers = Array.from({ length: workers }, (_, index) => this.#work(`w${String(index)}`));
  }

  /** Resolves when every run that was begun has ended. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#workers);
    this.#client.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #work(client: string): Promise<void> {
    while (!this.#isStopped) {
      try {
        const { answer } = await shiftLeft.run({
          options: { n: 7n, m: 9n, client },
          ...{ dataCenter: this.#client, say: () => undefined },
        });
        assert.is(answer['result'], '3584');
        this.succeeded++;
      } catch (error) {
        this.failures.push(messageOf(error));
      }
    }
  }
}

/** Default timeout of a session, ms. */
const SESSION_MS = 4000;

/** A look of our own at the members of a data center. */
async function coordinatorOf(dataCenter: LiveDataCenter): Promise<Coordinator> {
  const { coordinator: url } = await dataCenter.record();
  const secret = await readSecret(dataCenter.statePath, {});
  const config = parseCoordinator(url, SESSION_MS);
  const coordinator = createCoordinator({
    ...{ config, dataCenter: 'fractory', secret, log: silentLogger() },
  });
  await coordinator.start(10_000);
  return coordinator;
}

/** Resolves when the members are as wanted. */
async function becomes(coordinator: Coordinator, isWanted: () => boolean): Promise<void> {
  while (!isWanted())
    await new Promise<void>((resolve) => {
      const stop = coordinator.onMembers(() => {
        stop();
        resolve();
      });
    });
}

suite('members that leave in good order', (test) => {
  test(
    'a rolling restart of all members under a stream of runs fails none of them',
    async () => {
      const dataCenter = await shared.get();
      const before = (await dataCenter.status()).members;
      const application = await dataCenter.leader('application');
      await using stream = new Stream(application.address);
      const { restarted } = await dataCenter.json<{ restarted: { member: string }[] }>(
        ...['restart', '--rolling'],
      );
      await stream.stop();
      assert.equal(stream.failures, []);
      assert.ok(stream.succeeded > 20, String(stream.succeeded));
      assert.equal(restarted.map(({ member }) => member).sort(), before.map(({ id }) => id).sort());
      const after = (await dataCenter.status()).members;
      for (const { id, pid, address } of before) {
        const now = after.find((member) => member.id === id);
        assert.is(now?.state, 'SERVING');
        assert.is.not(now?.pid, pid);
        // Whoever knows its address needs no new one.
        assert.is(now?.address, address);
      }
    },
    { timeoutMs, skip },
  );

  test(
    'a drained leader leaves at once, stays up without work, and comes back by a restart',
    async () => {
      const dataCenter = await shared.get();
      const leader = await dataCenter.leader('storage');
      const application = await dataCenter.leader('application');
      await using stream = new Stream(application.address);
      const drained = await dataCenter.json<{ member: string; left: number }>('drain', leader.id);
      assert.equal([drained.member, drained.left], [leader.id, 0]);
      const { id, pid, state, address } = await dataCenter.member(leader.id);
      assert.equal([id, pid, state, address], [leader.id, leader.pid, 'DRAINED', '']);
      assert.is.not((await dataCenter.leader('storage')).id, leader.id);
      const again = await dataCenter.run('drain', leader.id);
      assert.match(again.stderr, /^storage-\d is drained already; .*restart storage-\d brings/);
      await dataCenter.ok('restart', leader.id);
      assert.is((await dataCenter.member(leader.id)).state, 'SERVING');
      await stream.stop();
      assert.equal(stream.failures, []);
    },
    { timeoutMs, skip },
  );

  test(
    'a node that dies is taken out of the registry at once, long before its session ends, and comes back',
    async () => {
      const dataCenter = await shared.get();
      const { pid } = await dataCenter.member('math-1');
      await using watched = await coordinatorOf(dataCenter);
      const lives = (): number[] =>
        watched.members().flatMap((member) => (member.id === 'math-1' ? [member.pid] : []));
      const startedAtMs = performance.now();
      process.kill(pid, 'SIGKILL');
      await becomes(watched, () => !lives().includes(pid));
      const goneMs = performance.now() - startedAtMs;
      assert.ok(goneMs < SESSION_MS / 2, String(goneMs));
      await becomes(watched, () => lives().length === 1);
    },
    { timeoutMs, skip },
  );

  leavesNothing(test, shared, { timeoutMs, skip });
});
