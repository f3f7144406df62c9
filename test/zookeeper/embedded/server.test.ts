import { RawSession } from '../../../bench/fuzz/raw-call.js';
import { SessionRequest, SessionResponse } from '../../../protos/gen/fractory/v1/coordinator.js';
import { silentLogger } from '../../../runtime/logger.js';
import { createCoordinator } from '../../../zookeeper/create.js';
import type { ConnectionState } from '../../../zookeeper/coordinator.js';
import { EmbeddedCoordinator } from '../../../zookeeper/embedded/server.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { membersWhen, record } from '../member-fixture.js';

const said = (request: NonNullable<SessionRequest['request']>) => ({
  message: SessionRequest.encode({ request }).finish(),
});

const log = silentLogger();
const names = { dataCenter: 'dc', secret: 'secret' };

suite('embedded coordinator', (test) => {
  test('after its restart members register again, with later epochs', async () => {
    const first = new EmbeddedCoordinator({ host: '127.0.0.1', log, ...names });
    await first.start();
    const config = { kind: 'embedded', connect: first.address, sessionTimeoutMs: 2000 } as const;
    await using one = createCoordinator({ config, log, ...names });
    await one.start(5000);
    const states: ConnectionState[] = [];
    one.onState((state) => states.push(state));
    const registration = await one.register(record('math-1'));
    const { epoch } = registration.member!;
    const lost = new Promise<void>((resolve) => {
      one.onState((state) => {
        if (state === 'lost') resolve();
      });
    });
    await first.stop();
    await lost;
    assert.is(registration.member, undefined);
    assert.is(registration.leads, false);
    const port = Number(first.address.split(':')[1]);
    await using second = new EmbeddedCoordinator({ host: '127.0.0.1', port, log, ...names });
    await second.start();
    await membersWhen(one, (all) => all.some((member) => member.epoch > epoch));
    assert.ok(registration.member!.epoch > epoch);
    assert.equal(states, ['lost', 'connected']);
  });

  test('a member that asks for an epoch above all others is refused, and the others go on', async () => {
    await using server = new EmbeddedCoordinator({ host: '127.0.0.1', log, ...names });
    await server.start();
    using session = new RawSession(server.address);
    const register = { registration: 1, type: 'math', member: 'math-9', data: '{}' };
    const { messages } = await session.call('/fractory.v1.CoordinatorService/Session', {
      steps: [
        said({ $case: 'open', value: { dataCenter: 'dc', secret: 'secret', timeoutMs: 2000 } }),
        said({ $case: 'register', value: { ...register, aboveEpoch: 2n ** 64n - 2n } }),
        said({ $case: 'expire', value: {} }),
      ],
      timeoutMs: 5000,
    });
    const refused = messages.some(
      (message) => SessionResponse.decode(message).response?.$case === 'refused',
    );
    assert.ok(refused);
    const config = { kind: 'embedded', connect: server.address, sessionTimeoutMs: 2000 } as const;
    await using one = createCoordinator({ config, log, ...names });
    await one.start(5000);
    assert.ok((await one.register(record('math-1'))).member!.epoch < 2n ** 62n);
  });

  test('serves one data center', async () => {
    await using server = new EmbeddedCoordinator({ host: '127.0.0.1', log, ...names });
    await server.start();
    const config = { kind: 'embedded', connect: server.address, sessionTimeoutMs: 2000 } as const;
    await using other = createCoordinator({ config, log, ...names, dataCenter: 'other' });
    await rejects(other.start(5000), FractoryError, { reason: 'WRONG_DATA_CENTER' });
  });
});
