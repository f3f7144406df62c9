import type { StartWorker } from '../../../../runtime/worker-host.js';
import type { TaskReplies, WorkerTask } from '../../../../services/cnn/execution/messages.js';

/** Time of one run, ms, of so many requests with so many threads. */
export type RunTimes = (batch: number, threads: number) => number;

/** Workers that compute nothing and measure what a table says: the same in any test. */
export function scriptedWorkers(runMs: RunTimes): StartWorker {
  return (listener) => {
    const threads = new Map<string, number>();
    return {
      post(message) {
        const task = message as WorkerTask;
        if (task.kind === 'load') threads.set(task.model, task.source.threads);
        const reply = replyTo(task, (batch) =>
          runMs(batch, 'model' in task ? (threads.get(task.model) ?? 1) : 1),
        );
        queueMicrotask(() => {
          if (task.kind === 'end')
            listener.onExit({ outOfMemory: false, description: 'told to end' });
          else listener.onMessage({ reply });
        });
      },
      kill: () => Promise.resolve(),
    };
  };
}

function replyTo(
  task: WorkerTask,
  runMs: (batch: number) => number,
): TaskReplies[WorkerTask['kind']] {
  switch (task.kind) {
    case 'load':
      return { loadMs: 1, fileBytes: 1000, residentBytes: 1000 };
    case 'compare':
      return { same: true };
    case 'measure': {
      const { batch, durationMs } = task.measurement;
      const each = runMs(batch);
      return { runs: durationMs / each, elapsedMs: durationMs, runMs: each };
    }
    case 'run':
      return {
        outcomes: task.requests.map(() => ({ outputs: [] })),
        ...{ computeUs: 1, outputUs: 1, inseparable: false },
      };
    case 'unload':
    case 'end':
      return undefined;
  }
}
