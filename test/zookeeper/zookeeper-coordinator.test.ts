import { coordinatorContract } from './coordinator-contract.js';
import { startEnsemble, whyNoZooKeeper } from './ensemble-fixture.js';

coordinatorContract(
  'zookeeper',
  async () => {
    const zookeeper = await startEnsemble();
    return {
      config: { kind: 'zookeeper', connect: zookeeper.connect, sessionTimeoutMs: 2000 },
      [Symbol.asyncDispose]: () => zookeeper[Symbol.asyncDispose](),
    };
  },
  await whyNoZooKeeper(),
);
