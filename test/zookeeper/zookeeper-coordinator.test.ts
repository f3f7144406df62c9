import { silentLogger } from '../../runtime/logger.js';
import { createCoordinator } from '../../zookeeper/create.js';
import { assert, suite } from '../suite.js';
import { coordinatorContract } from './coordinator-contract.js';
import { startEnsemble, whyNoZooKeeper } from './ensemble-fixture.js';

const skip = await whyNoZooKeeper();

coordinatorContract(
  'zookeeper',
  async () => {
    const zookeeper = await startEnsemble();
    return {
      config: { kind: 'zookeeper', connect: zookeeper.connect, sessionTimeoutMs: 2000 },
      [Symbol.asyncDispose]: () => zookeeper[Symbol.asyncDispose](),
    };
  },
  skip,
);

suite('session timeout of zookeeper', (test) => {
  test(
    'a coordinator tells what was granted, not what it asked for',
    async () => {
      const tickMs = 200;
      await using zookeeper = await startEnsemble({ tickMs });
      const config = {
        kind: 'zookeeper',
        connect: zookeeper.connect,
        sessionTimeoutMs: 100,
      } as const;
      const dataCenter = 'granted';
      await using coordinator = createCoordinator({
        ...{ config, dataCenter, secret: '', log: silentLogger() },
      });
      assert.is(coordinator.sessionTimeoutMs, 100);
      await coordinator.start(20_000);
      assert.is(coordinator.sessionTimeoutMs, 2 * tickMs);
    },
    { timeoutMs: 60_000, skip },
  );
});
