import { createLogger } from '../../runtime/logger.js';
import { createCoordinator } from '../../zookeeper/create.js';
import { record } from './member-fixture.js';
import type { MemberProcessOptions } from './member-fixture.js';

// Registers the member that the argument describes, says so, logs warnings, and stays until its standard input ends.
const { id, type, instance, ...options } = JSON.parse(process.argv[2]!) as MemberProcessOptions;
const coordinator = createCoordinator({ ...options, log: createLogger({ level: 'warn' }) });
await coordinator.start(10_000);
await coordinator.register(record(id, type, instance));
console.log('registered');
process.stdin.on('end', () => {
  void coordinator.close();
});
process.stdin.resume();
