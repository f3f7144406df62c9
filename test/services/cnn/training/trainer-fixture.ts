import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';

import { pack } from 'tar-stream';

import type { PictureSource } from '../../../../services/cnn/training/data/source.js';
import { Trainer } from '../../../../services/cnn/training/trainer.js';
import type { TrainerOptions } from '../../../../services/cnn/training/trainer.js';
import type { TrainingEvent } from '../../../../services/cnn/training/training-event.js';
import type { TrainingRequest } from '../../../../services/cnn/training/training-request.js';
import { LIMITS, sourceOf } from './pictures.js';
import type { MadeFile } from './pictures.js';

export const colourEngine = new URL('./colour-engine.js', import.meta.url);

export const REQUEST: TrainingRequest = {
  ...{ model: 'colours', data: undefined, epochs: 4, size: 32, sampleLimit: 0, seed: 0n },
  ...{ network: '', summary: '', license: '', origin: '', resume: false },
};

/** A node's models, one that answers as the folder's newest model is called upon to: by the file's own colour, wrong for every tenth picture. */
export interface FakeServed {
  readonly rescans: { count: number };
  readonly asked: { model: string; version: number }[];
}

/** A trainer over a folder, with the smallest engine. Owns it. */
export function openTrainer(
  folder: string,
  changes: Partial<TrainerOptions> = {},
): { readonly trainer: Trainer; readonly served: FakeServed } & AsyncDisposable {
  const served: FakeServed = { rescans: { count: 0 }, asked: [] };
  const trainer = new Trainer({
    modelsRoot: path.join(folder, 'models'),
    trainingRoot: path.join(folder, 'training'),
    limits: LIMITS,
    served: {
      versions: () => [],
      rescan: () => {
        served.rescans.count++;
        return Promise.resolve();
      },
      predict: (_picture, { model, version }) => {
        served.asked.push({ model, version });
        return Promise.resolve(served.asked.length % 10 === 0 ? 'blue' : 'red');
      },
    },
    storedPictures: (): PictureSource => sourceOf([]),
    engineModule: colourEngine,
    ...changes,
  });
  return { trainer, served, [Symbol.asyncDispose]: () => trainer[Symbol.asyncDispose]() };
}

/** Files as the chunks of a tar. */
export function tarChunks(files: readonly MadeFile[]): AsyncIterable<Uint8Array> {
  const tar = pack();
  // A time of their own, so that the same files are the same bytes whenever they are packed.
  const mtime = new Date(0);
  for (const { path: name, bytes } of files) tar.entry({ name, mtime }, Buffer.from(bytes));
  tar.finalize();
  return Readable.from(tar) as AsyncIterable<Uint8Array>;
}

/** Trains to the end and returns all that was told. */
export async function trained(
  trainer: Trainer,
  request: Partial<TrainingRequest>,
  hear: (event: TrainingEvent) => void = () => undefined,
  signal: AbortSignal = new AbortController().signal,
): Promise<TrainingEvent[]> {
  const events: TrainingEvent[] = [];
  await trainer.train(
    { ...REQUEST, ...request },
    {
      signal,
      tell: (event) => {
        events.push(event);
        hear(event);
      },
    },
  );
  return events;
}

export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}
