import { sleep } from '../../runtime/deadline.js';
import { silentLogger } from '../../runtime/logger.js';
import type { ConnectionState } from '../../zookeeper/coordinator.js';
import { createCoordinator } from '../../zookeeper/create.js';
import { Session } from '../../zookeeper/session.js';
import type { SessionOptions } from '../../zookeeper/session.js';
import { ZooKeeperError } from '../../zookeeper/zookeeper-error.js';
import { assert, rejects, suite } from '../suite.js';
import { CuttingProxy } from './cutting-proxy.js';
import { startEnsemble, whyNoZooKeeper } from './ensemble-fixture.js';
import type { EnsembleFixture } from './ensemble-fixture.js';
import { membersWhen, record, when } from './member-fixture.js';

// The five holes of the library (docs/ARCHITECTURE.md, "Coordination"), each by a test that fails without what closes it.
const skip = await whyNoZooKeeper();
const empty = Buffer.alloc(0);

function open(connect: string, options: Partial<SessionOptions> = {}): Session & AsyncDisposable {
  const session = new Session({
    connect,
    sessionTimeoutMs: 2000,
    secret: 'secret',
    log: silentLogger(),
    ...options,
  });
  return Object.assign(session, { [Symbol.asyncDispose]: () => session.close() });
}

/** Resolves at the next change to `wanted`. */
function reaches(session: Session, wanted: ConnectionState): Promise<void> {
  return when(
    (listener) => session.onState(listener),
    () => session.state === wanted,
  );
}

function freeze({ ensemble }: EnsembleFixture, port: number): { thaw(): void } {
  const server = ensemble.servers.find(({ clientPort }) => clientPort === port);
  assert.ok(server && server.pid > 0);
  process.kill(server.pid, 'SIGSTOP');
  return {
    thaw: () => {
      process.kill(server.pid, 'SIGCONT');
    },
  };
}

suite('zookeeper session', (define) => {
  const test: typeof define = (name, body) => {
    define(name, body, { timeoutMs: 30_000, skip });
  };

  test('moves away from a frozen server within its session, which lives on', async () => {
    await using zookeeper = await startEnsemble({ servers: 3 });
    await using session = open(zookeeper.connect, { sessionTimeoutMs: 4000 });
    await session.open(8000);
    const states: ConnectionState[] = [];
    session.onState((state) => states.push(state));
    const { id, server } = session;
    const path = await session.create('/ephemeral-', empty, { mode: 'ephemeral-sequential' });
    const frozen = freeze(zookeeper, Number(server.split(':')[1]));
    await reaches(session, 'suspended');
    assert.is(session.isFresh(), false);
    await reaches(session, 'connected');
    frozen.thaw();
    assert.is.not(session.server, server);
    assert.equal([session.id, session.generation], [id, 1]);
    assert.equal(states, ['suspended', 'connected']);
    assert.is((await session.read(path))?.owner, id);
  });

  test('outlives its timeout while only notifications arrive', async () => {
    await using zookeeper = await startEnsemble();
    await using listening = open(zookeeper.connect);
    await using writing = open(zookeeper.connect);
    await Promise.all([listening.open(8000), writing.open(8000)]);
    const states: ConnectionState[] = [];
    listening.onState((state) => states.push(state));
    const paths = Array.from({ length: 24 }, (_, index) => `/watched-${String(index)}`);
    let heard = 0;
    for (const path of paths) {
      await writing.create(path, empty);
      await listening.watch(path, () => heard++);
    }
    // A notification every 150 ms for almost twice the session timeout, and nothing that the library itself would send.
    for (const path of paths) {
      await writing.remove(path);
      await sleep(150);
    }
    assert.is(heard, paths.length);
    assert.equal(states, []);
    assert.is(listening.generation, 1);
  });

  test('settles everything that was in flight or waiting when it expires, and goes on with a fresh client', async () => {
    await using zookeeper = await startEnsemble();
    await using proxy = await CuttingProxy.start(zookeeper.ensemble.servers[0]!.clientPort);
    await using session = open(proxy.connect);
    await using other = open(zookeeper.connect);
    await Promise.all([session.open(8000), other.open(8000)]);
    const ephemeral = await session.create('/mine-', empty, { mode: 'ephemeral-sequential' });
    const states: [ConnectionState, number][] = [];
    session.onState((state, generation) => states.push([state, generation]));
    const inFlight = Promise.allSettled([session.read('/'), session.create('/a', empty)]);
    proxy.cut();
    await reaches(session, 'suspended');
    const waiting = Promise.allSettled([session.read('/'), session.children('/')]);
    await new Promise<void>((resolve) => {
      void other.watch(ephemeral, resolve);
    });
    assert.is(session.state, 'suspended');
    proxy.mend();
    await reaches(session, 'lost');
    const outcomes = [...(await inFlight), ...(await waiting)];
    for (const outcome of outcomes) {
      assert.is(outcome.status, 'rejected');
      assert.instance((outcome as PromiseRejectedResult).reason, ZooKeeperError);
    }
    const last = (outcomes[2] as PromiseRejectedResult).reason as ZooKeeperError;
    assert.is(last.failure, 'session-lost');
    const next = session.children('/');
    assert.ok((await next).includes('zookeeper'));
    assert.equal(states, [
      ['suspended', 1],
      ['lost', 1],
      ['connected', 2],
    ]);
  });

  test('no operation overtakes the authentication', async () => {
    await using zookeeper = await startEnsemble();
    await using owner = open(zookeeper.connect);
    await owner.open(8000);
    await owner.create('/private', empty);
    for (let round = 0; round < 5; round++) {
      await using late = open(zookeeper.connect);
      const opened = late.open(8000);
      // Called before there is a connection: in the library these go out before the authentication.
      const [children, znode] = await Promise.all([
        late.children('/private'),
        late.read('/private'),
      ]);
      await opened;
      assert.equal(children, []);
      assert.is(znode?.owner, 0n);
    }
    await using stranger = open(zookeeper.connect, { secret: 'another' });
    await stranger.open(8000);
    await rejects(stranger.read('/private'), ZooKeeperError, { failure: 'no-auth' });
  });

  test('after an expiry members register again with a later epoch, and watches work', async () => {
    await using zookeeper = await startEnsemble();
    await using proxy = await CuttingProxy.start(zookeeper.ensemble.servers[0]!.clientPort);
    const join = (connect: string) =>
      createCoordinator({
        config: { kind: 'zookeeper', connect, sessionTimeoutMs: 2000 },
        dataCenter: 'dc',
        secret: 'secret',
        log: silentLogger(),
      });
    await using one = join(proxy.connect);
    await using other = join(zookeeper.connect);
    await Promise.all([one.start(8000), other.start(8000)]);
    const registration = await one.register(record('math-1'));
    const { epoch } = registration.member!;
    const leads: boolean[] = [];
    registration.subscribe(() => leads.push(registration.leads));
    proxy.cut();
    await when(
      (listener) => one.onState(listener),
      () => one.state === 'suspended',
    );
    assert.is(registration.leads, false);
    await membersWhen(other, (all) => all.length === 0);
    // Nobody has said so to the one that is cut off; by its own clock it can't lead any more.
    assert.is(registration.member?.epoch, epoch);
    assert.ok(registration.leadsUntilMs < performance.now());
    proxy.mend();
    await when(
      (listener) => one.onState(listener),
      () => one.state === 'lost',
    );
    assert.is(registration.member, undefined);
    await membersWhen(other, (all) => all.length === 1 && all[0]!.epoch > epoch);
    await when(
      (listener) => registration.subscribe(listener),
      () => registration.leads,
    );
    assert.ok(registration.member!.epoch > epoch);
    assert.equal(leads.at(0), false);
    await one.register(record('math-2'));
    await membersWhen(other, (all) => all.length === 2);
  });

  test('a creation whose answer was lost is not done twice', async () => {
    await using zookeeper = await startEnsemble();
    await using proxy = await CuttingProxy.start(zookeeper.ensemble.servers[0]!.clientPort);
    await using one = createCoordinator({
      config: { kind: 'zookeeper', connect: proxy.connect, sessionTimeoutMs: 4000 },
      dataCenter: 'dc',
      secret: 'secret',
      log: silentLogger(),
    });
    await one.start(8000);
    proxy.cutAfter('math-1-');
    const registration = await one.register(record('math-1'));
    await when(
      (listener) => registration.subscribe(listener),
      () => registration.leads,
    );
    assert.is(proxy.cuts, 1);
    assert.equal(one.members(), [registration.member]);
    assert.is(registration.member?.sequence, 0);
  });

  test('close settles what waits, and later calls fail as closed', async () => {
    const session = open('127.0.0.1:1');
    const opening = rejects(session.open(8000), ZooKeeperError, { failure: 'closed' });
    const waiting = rejects(session.read('/'), ZooKeeperError, { failure: 'closed' });
    await session.close();
    await Promise.all([opening, waiting]);
    await rejects(session.read('/'), ZooKeeperError, { failure: 'closed' });
  });
});
