import { loadConfig } from '../../config/loader.js';
import { chooseCoordination } from '../../launcher/coordination-choice.js';
import type { PrivateNetwork } from '../../launcher/network/private-network.js';
import { FractoryError } from '../../runtime/errors.js';
import { silentLogger } from '../../runtime/logger.js';
import { assert, rejects, suite } from '../suite.js';

const log = silentLogger();
const network = { coordinatorAddress: '127.0.0.2' } as unknown as PrivateNetwork;

suite('choice of the coordinator', (test) => {
  test('one that runs elsewhere can not be reached from namespaces', async () => {
    const environment = { FRACTORY_ZOOKEEPER_CONNECT: '10.9.9.9:2181' };
    const config = await loadConfig({ environment });
    assert.is((await chooseCoordination(config, { embedded: false, log })).kind, 'zookeeper');
    const refused = { reason: 'COORDINATOR_OUT_OF_REACH' };
    const choice = chooseCoordination(config, { embedded: false, log, network });
    await rejects(choice, FractoryError, refused);
  });

  test('the twin has an address of its own in a network of its own', async () => {
    const config = await loadConfig({ environment: {} });
    const twin = await chooseCoordination(config, { embedded: true, log, network });
    try {
      const { connect } = await twin.prepare('secret');
      assert.match(connect, /^127\.0\.0\.2:\d+$/);
    } finally {
      await twin.stop();
    }
  });
});
