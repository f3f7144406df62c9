import { silentLogger } from '../../../runtime/logger.js';
import { EmbeddedCoordinator } from '../../../zookeeper/embedded/server.js';
import { coordinatorContract } from '../coordinator-contract.js';

coordinatorContract('embedded', async (names) => {
  const server = new EmbeddedCoordinator({ host: '127.0.0.1', log: silentLogger(), ...names });
  await server.start();
  return {
    config: { kind: 'embedded', connect: server.address, sessionTimeoutMs: 2000 },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
});
