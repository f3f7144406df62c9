import type { CoordinatorConfig } from '../../config/node-config.js';
import { sleep } from '../../runtime/deadline.js';
import { FractoryError } from '../../runtime/errors.js';
import { silentLogger } from '../../runtime/logger.js';
import { status } from '@grpc/grpc-js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { ConnectionState, Coordinator, Registration } from '../../zookeeper/coordinator.js';
import { createCoordinator } from '../../zookeeper/create.js';
import { assert, rejects, suite } from '../suite.js';
import { MemberProcess, membersWhen, record, when } from './member-fixture.js';
import type { MemberProcessOptions } from './member-fixture.js';

/** A running coordinator service: real ZooKeeper or the embedded twin. */
export interface ContractFixture extends AsyncDisposable {
  readonly config: CoordinatorConfig;
}

const DATA_CENTER = 'contract';
const SECRET = 'secret of the contract';
const START_MS = 8000;
/** Longest time until the end of a dead member's session is seen, on a loaded machine. */
const SLOW = { timeoutMs: 30_000 };

/** What every Coordinator promises. `open` starts the service with a session timeout of about 2 s. */
export function coordinatorContract(
  kind: CoordinatorConfig['kind'],
  open: (names: { dataCenter: string; secret: string }) => Promise<ContractFixture>,
  skip?: string,
): void {
  const fixture = (): Promise<ContractFixture> => open({ dataCenter: DATA_CENTER, secret: SECRET });
  const make = ({ config }: ContractFixture, secret = SECRET): Coordinator =>
    createCoordinator({ config, dataCenter: DATA_CENTER, secret, log: silentLogger() });
  const join = async (service: ContractFixture): Promise<Coordinator> => {
    const coordinator = make(service);
    await coordinator.start(START_MS);
    return coordinator;
  };
  const registered = async (service: ContractFixture) => {
    const [one, other] = [await join(service), await join(service)];
    return {
      ...{ one, other },
      first: await one.register(record('math-1')),
      second: await other.register(record('math-2')),
      [Symbol.asyncDispose]: async () => {
        await other.close();
        await one.close();
      },
    };
  };
  const processOptions = ({ config }: ContractFixture, id: string): MemberProcessOptions => ({
    config,
    dataCenter: DATA_CENTER,
    secret: SECRET,
    id,
  });

  suite(`coordinator contract: ${kind}`, (define) => {
    const test: typeof define = (name, body, options = {}) => {
      define(name, body, { ...options, skip });
    };

    test('a registered member is seen by others as it described itself', async () => {
      await using service = await fixture();
      await using one = await join(service);
      await using other = await join(service);
      const registration = await one.register(record('math-1'));
      const [seen] = await membersWhen(other, (members) => members.length === 1);
      assert.equal(seen, registration.member);
      assert.equal(one.members(), other.members());
      assert.is(seen?.address, record('math-1').address);
    });

    test('a type of which nobody has heard appears while others watch', async () => {
      await using service = await fixture();
      await using one = await join(service);
      await using other = await join(service);
      await one.register(record('math-1'));
      await membersWhen(other, (members) => members.length === 1);
      await one.register(record('new-1', 'new-type'));
      const members = await membersWhen(other, (all) => all.length === 2);
      assert.equal(
        members.map(({ type }) => type),
        ['math', 'new-type'],
      );
    });

    test('members stand in the order of their registration, epochs grow, and only the first leads', async () => {
      await using service = await fixture();
      await using one = await join(service);
      await using other = await join(service);
      const first = await one.register(record('z-first'));
      const second = await other.register(record('a-second'));
      const third = await one.register(record('storage-1', 'storage'));
      await leading(third);
      const members = await membersWhen(other, (all) => all.length === 3);
      assert.equal(
        members.map(({ id }) => id),
        ['z-first', 'a-second', 'storage-1'],
      );
      assert.equal([first.leads, second.leads, third.leads], [true, false, true]);
      assert.is(leaderOf(members, 'math')?.id, 'z-first');
      assert.ok(first.member!.epoch < second.member!.epoch);
      assert.ok(second.member!.epoch < third.member!.epoch);
    });

    test('leadership moves when the leader withdraws, and the one that comes back is last', async () => {
      await using service = await fixture();
      await using both = await registered(service);
      const { one, first, second } = both;
      const epoch = first.member!.epoch;
      await first.withdraw();
      await first.withdraw();
      assert.is(first.leads, false);
      assert.is(first.member, undefined);
      assert.not.ok(one.members().some(({ id }) => id === 'math-1'));
      await leading(second);
      const again = await one.register(record('math-1'));
      assert.ok(again.member!.epoch > epoch);
      assert.is(again.leads, false);
      assert.is(leaderOf(one.members(), 'math')?.id, 'math-2');
    });

    test(
      'leadership moves when the leader is killed',
      async () => {
        await using service = await fixture();
        await using leader = await MemberProcess.start(processOptions(service, 'math-1'));
        await using other = await join(service);
        const second = await other.register(record('math-2'));
        assert.is(second.leads, false);
        await leader.kill();
        await leading(second);
        await membersWhen(other, (members) => members.every(({ id }) => id === 'math-2'));
      },
      SLOW,
    );

    test(
      'a member that was frozen for too long registers again, with a later epoch, at the end of the queue',
      async () => {
        await using service = await fixture();
        await using leader = await MemberProcess.start(processOptions(service, 'math-1'));
        await using other = await join(service);
        const second = await other.register(record('math-2'));
        const [before] = await membersWhen(other, (members) => members.length === 2);
        leader.freeze();
        await membersWhen(other, (members) => members.length === 1);
        await leading(second);
        leader.thaw();
        const after = await membersWhen(other, (members) => members.length === 2);
        assert.is(before?.id, 'math-1');
        assert.is(after[1]?.id, 'math-1');
        assert.ok(after[1]!.epoch > before!.epoch);
        assert.ok(second.leads);
      },
      SLOW,
    );

    test(
      'a new life of a member removes what the earlier one left, and the earlier one yields to it',
      async () => {
        await using service = await fixture();
        const options = processOptions(service, 'math-1');
        await using earlier = await MemberProcess.start({ ...options, instance: 'earlier' });
        earlier.freeze();
        await using one = await join(service);
        await membersWhen(one, (members) => members.length === 1);
        const registration = await one.register(record('math-1', 'math', 'later'));
        const ids = (): string[] =>
          one.members().flatMap(({ type, instance }) => (type === 'math' ? [instance] : []));
        await membersWhen(one, () => ids().join() === 'later');
        await leading(registration);
        const seen: string[] = [];
        one.onMembers(() => seen.push(ids().join()));
        earlier.thaw();
        await earlier.says('a later life of this member is registered');
        // What it had done before that would be seen before this.
        await one.register(record('storage-1', 'storage'));
        assert.ok(seen.length > 0);
        assert.ok(seen.every((instances) => instances === 'later'));
        assert.ok(registration.leads);
      },
      SLOW,
    );

    test('whoever knows that a process has ended takes it out at once, and another leads', async () => {
      await using service = await fixture();
      await using leader = await MemberProcess.start(processOptions(service, 'math-1'));
      await using other = await join(service);
      const second = await other.register(record('math-2'));
      // Its session would live on for a while.
      leader.freeze();
      assert.is(await other.removeMember('math-1', 'another life'), false);
      assert.is(await other.removeMember('math-1', 'instance of math-1'), true);
      await leading(second);
      await membersWhen(other, (members) => members.every(({ id }) => id === 'math-2'));
      assert.is(await other.removeMember('math-1', 'instance of math-1'), false);
    });

    test('a living member that was taken out registers again, with a later epoch, at the end of the queue', async () => {
      await using service = await fixture();
      await using both = await registered(service);
      const { other, first, second } = both;
      const { epoch } = first.member!;
      await other.removeMember('math-1', 'instance of math-1');
      await leading(second);
      const members = await membersWhen(other, (all) => all.length === 2);
      assert.equal(
        members.map(({ id }) => id),
        ['math-2', 'math-1'],
      );
      assert.ok(members[1]!.epoch > epoch);
      await when(
        (listener) => first.subscribe(listener),
        () => first.member?.epoch === members[1]!.epoch,
      );
      assert.is(first.leads, false);
    });

    test('a registration that is renewed stands at the end of the queue, with an epoch above the one asked for', async () => {
      await using service = await fixture();
      await using both = await registered(service);
      const { other, first, second } = both;
      const above = second.member!.epoch + (1n << 40n);
      await first.renew(above);
      assert.ok(first.member!.epoch > above);
      assert.is(first.leads, false);
      await leading(second);
      assert.equal(
        (await membersWhen(other, (all) => all.length === 2)).map(({ epoch }) => epoch),
        [second.member!.epoch, first.member!.epoch],
      );
      // Whoever registers from now on is above it too.
      assert.ok((await other.register(record('math-3'))).member!.epoch > first.member!.epoch);
    });

    test('a process whose session is ended finds out and registers again, with a later epoch', async () => {
      await using service = await fixture();
      await using both = await registered(service);
      const { one, other, first, second } = both;
      const { epoch } = first.member!;
      await one.expireSession();
      await leading(second);
      const members = await membersWhen(
        other,
        (all) => all.length === 2 && all.every((member) => member.epoch > epoch),
      );
      assert.equal(
        members.map(({ id }) => id),
        ['math-2', 'math-1'],
      );
    });

    test('a listener hears until it has unsubscribed', async () => {
      await using service = await fixture();
      await using one = await join(service);
      const heard: number[] = [];
      const stop = one.onMembers((members) => heard.push(members.length));
      const registration = await one.register(record('math-1'));
      stop();
      await registration.withdraw();
      assert.equal(heard, [1]);
    });

    test('close ends all registrations at once, for everybody, and may be called twice', async () => {
      await using service = await fixture();
      await using one = await join(service);
      await using other = await join(service);
      const states: ConnectionState[] = [];
      one.onState((state) => states.push(state));
      const registration = await one.register(record('math-1'));
      await membersWhen(other, (members) => members.length === 1);
      await Promise.all([one.close(), one.close()]);
      await one.close();
      await membersWhen(other, (members) => members.length === 0);
      assert.is(one.state, 'closed');
      assert.equal(states, ['closed']);
      assert.is(registration.leads, false);
      assert.is(registration.member, undefined);
      await registration.withdraw();
      await rejects(one.register(record('math-2')), FractoryError);
    });

    test('a process with another secret is refused', async () => {
      await using service = await fixture();
      await using one = await join(service);
      await using stranger = make(service, 'a guess');
      const expected = { code: status.PERMISSION_DENIED, reason: 'WRONG_SECRET' } as const;
      await rejects(stranger.start(START_MS), FractoryError, expected);
      await rejects(one.register(record('.bad')), FractoryError, { code: status.INVALID_ARGUMENT });
    });

    test('start fails with UNAVAILABLE where nobody answers', async () => {
      const config = { kind, connect: '127.0.0.1:1', sessionTimeoutMs: 2000 };
      await using one = make({ config } as ContractFixture);
      await rejects(one.start(300), FractoryError, { code: status.UNAVAILABLE });
      assert.is(one.state, 'closed');
    });

    test('a closed coordinator leaves no socket and no timer', async () => {
      await using service = await fixture();
      const count = (): number =>
        process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
      const before = count();
      {
        await using one = await join(service);
        await one.register(record('math-1'));
        assert.ok(count() > before);
      }
      // The end of a socket is seen a few turns of the event loop later.
      for (let turn = 0; turn < 100 && count() > before; turn++) await sleep(5);
      assert.is(count(), before);
    });
  });
}

/** Resolves when the member leads. */
function leading(registration: Registration): Promise<void> {
  return when(
    (listener) => registration.subscribe(listener),
    () => registration.leads,
  );
}
