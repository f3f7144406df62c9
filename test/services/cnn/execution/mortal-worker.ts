import { parentPort } from 'node:worker_threads';

/** A worker that dies at once when it is asked for the output `death`; else it is the real one. */
await import('../../../../services/cnn/execution/worker.js');
parentPort?.on('message', (task: { kind: string; outputs?: readonly string[] }) => {
  if (task.kind === 'run' && task.outputs?.includes('death')) process.exit(3);
});
