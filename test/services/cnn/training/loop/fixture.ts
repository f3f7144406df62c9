import path from 'node:path';

import { readDataSet } from '../../../../../services/cnn/training/data/data-set.js';
import type { TrainingTask } from '../../../../../services/cnn/training/loop/messages.js';
import { planTraining } from '../../../../../services/cnn/training/loop/schedule.js';
import { trainInThread } from '../../../../../services/cnn/training/loop/training-thread.js';
import type { TrainingNews } from '../../../../../services/cnn/training/loop/training-thread.js';
import { colourPictures, LIMITS, sourceOf } from '../pictures.js';

/** The smallest engine, as a module for training threads. */
export const colourEngine = new URL('../colour-engine.js', import.meta.url);

export type Task = Omit<TrainingTask, 'stop'>;

/** A training of a few dozen pictures of 16x16 pixels. */
export async function smallTask(folder: string, epochs = 5): Promise<Task> {
  const data = await readDataSet(sourceOf(await colourPictures(40)), {
    ...{ sampleLimit: 0, seed: 1n, validationShare: 0.2 },
    ...{ trainingSidePx: 16, validationSidesPx: () => [16] },
    limits: LIMITS,
    signal: new AbortController().signal,
    ...{ onFile: () => undefined, onSkipped: () => undefined },
  });
  const given = { epochs, size: 16, seed: 5n, strongViews: true };
  return {
    engineModule: colourEngine.href,
    head: {
      settings: {
        ...{ epochs, size: 16, sampleLimit: 0, seed: '5', network: 'small', summary: '' },
        data: {},
      },
      dataHash: data.dataHash,
      network: { name: 'small', widths: [], depths: [], classes: 2 },
    },
    plan: planTraining(given, data.training.labels.length),
    threads: 1,
    ...{ training: data.training, validation: data.validation },
    checkpointFile: path.join(folder, 'runs', 'checkpoint.bin'),
    resume: false,
  };
}

export async function trainTask(
  task: Task,
  signal = new AbortController().signal,
  hear: (news: TrainingNews) => void = () => undefined,
): Promise<TrainingNews[]> {
  const heard: TrainingNews[] = [];
  await trainInThread(task, {
    signal,
    tell: (news) => {
      heard.push(news);
      hear(news);
    },
  });
  return heard;
}
