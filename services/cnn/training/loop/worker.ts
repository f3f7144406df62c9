import { parentPort, workerData } from 'node:worker_threads';

import { toFailure } from '../../../../runtime/worker-tasks.js';
import { BatchFeed } from '../augment/batch-feed.js';
import type { EngineOptions, TrainingEngine } from '../engine/engine.js';
import { readCheckpoint } from './checkpoint.js';
import type { TrainingMessage, TrainingTask } from './messages.js';
import { TrainingLoop } from './training-loop.js';

/** What the module of an engine exports. */
interface EngineModule {
  readonly createTrainingEngine: (
    options: EngineOptions,
  ) => Promise<TrainingEngine> | TrainingEngine;
}

async function train(task: TrainingTask): Promise<TrainingMessage> {
  const { createTrainingEngine } = (await import(task.engineModule)) as EngineModule;
  const { batch, seed, momentum, weightDecay, labelSmoothing, averaging } = task.plan;
  const { pixels, slots, labels } = task.training;
  const from = task.resume ? await readCheckpoint(task.checkpointFile) : undefined;
  await using engine = await createTrainingEngine({
    ...{ batch, momentum, weightDecay, labelSmoothing, averaging },
    ...{ network: task.head.network, threads: task.threads },
    seed: Number(BigInt.asUintN(32, seed ^ (seed >> 32n))),
  });
  await using feed = new BatchFeed({ pixels, slots, seed }, labels);
  const isDone = await new TrainingLoop({ task, engine, feed, from, tell }).run();
  return { kind: isDone ? 'done' : 'stopped' };
}

function tell(message: TrainingMessage): void {
  parentPort?.postMessage(message);
}

try {
  tell(await train(workerData as TrainingTask));
} catch (error) {
  tell({ kind: 'failed', failure: toFailure(error) });
}
