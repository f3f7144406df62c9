import { Worker } from 'node:worker_threads';

import { cancelled } from '../../../../runtime/errors.js';
import { fromFailure } from '../../../../runtime/worker-tasks.js';
import { disableTelemetry } from '../../telemetry.js';
import type { TrainingMessage, TrainingTask } from './messages.js';

/** What is told while a training goes on. */
export type TrainingNews = Extract<TrainingMessage, { kind: 'ready' | 'progress' | 'epoch' }>;

export interface ThreadOptions {
  readonly signal: AbortSignal;
  readonly tell: (news: TrainingNews) => void;
}

/**
 * Trains in a thread of its own until all epochs are done. When `signal` aborts, the thread ends behind its current step, with the checkpoint of the last
 * whole epoch on disk; then the promise rejects with the signal's reason.
 */
export async function trainInThread(
  task: Omit<TrainingTask, 'stop'>,
  { signal, tell }: ThreadOptions,
): Promise<void> {
  signal.throwIfAborted();
  disableTelemetry();
  const stop = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  const worker = new Worker(new URL('./worker.js', import.meta.url), {
    workerData: { ...task, stop } satisfies TrainingTask,
  });
  const onAbort = (): void => {
    Atomics.store(new Int32Array(stop), 0, 1);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await outcomeOf(worker, tell, signal);
  } finally {
    signal.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
}

function outcomeOf(
  worker: Worker,
  tell: ThreadOptions['tell'],
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.on('message', (message: TrainingMessage) => {
      switch (message.kind) {
        case 'done':
          resolve();
          return;
        case 'stopped':
          reject(signal.reason instanceof Error ? signal.reason : cancelled());
          return;
        case 'failed':
          reject(fromFailure(message.failure));
          return;
        default:
          tell(message);
      }
    });
    worker.on('error', reject);
    worker.on('exit', (code) => {
      reject(new Error(`the training thread ended with exit code ${String(code)}`));
    });
  });
}
