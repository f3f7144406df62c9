import { parentPort } from 'node:worker_threads';

import { invalidArgument } from '../../runtime/errors.js';
import { serveTasks } from '../../runtime/worker-tasks.js';

/** A worker for tests: does as it is told. */
function perform(task: string): unknown {
  switch (task) {
    case 'die':
      process.exit(3);
    // eslint-disable-next-line no-fallthrough -- process.exit doesn't return
    case 'hang':
      for (;;) if (Date.now() < 0) return undefined;
    case 'refuse':
      throw invalidArgument('task', 'is refused', 'REFUSED');
    case 'break':
      throw new TypeError('a bug');
    case 'pid':
      return process.pid;
    default:
      return `${task} in a ${parentPort ? 'thread' : 'process'}`;
  }
}

await serveTasks<string, unknown>(() => Promise.resolve(perform));
