import { silentLogger } from '../../runtime/logger.js';
import { EmbeddedCoordinator } from '../../zookeeper/embedded/server.js';

/** The embedded coordinator in a process of its own: tells its address, and ends with whoever started it. */
const [dataCenter = '', secret = ''] = process.argv.slice(2);
const server = new EmbeddedCoordinator({
  ...{ host: '127.0.0.1', dataCenter, secret, log: silentLogger() },
});
await server.start();
process.send?.(server.address);
process.on('disconnect', () => {
  process.exit(0);
});
