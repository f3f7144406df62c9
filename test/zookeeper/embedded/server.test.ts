import { silentLogger } from '../../../runtime/logger.js';
import { createCoordinator } from '../../../zookeeper/create.js';
import type { ConnectionState } from '../../../zookeeper/coordinator.js';
import { EmbeddedCoordinator } from '../../../zookeeper/embedded/server.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { membersWhen, record } from '../member-fixture.js';

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

  test('serves one data center', async () => {
    await using server = new EmbeddedCoordinator({ host: '127.0.0.1', log, ...names });
    await server.start();
    const config = { kind: 'embedded', connect: server.address, sessionTimeoutMs: 2000 } as const;
    await using other = createCoordinator({ config, log, ...names, dataCenter: 'other' });
    await rejects(other.start(5000), FractoryError, { reason: 'WRONG_DATA_CENTER' });
  });
});
