import path from 'node:path';

import { Trainer } from '../../services/cnn/training/trainer.js';
import type { LabelProbability } from '../../services/cnn/pictures/tensor.js';
import type { DeviceContext } from '../kernel/device.js';
import type { CnnSettings } from './settings.js';
import { storedPictures } from './stored-pictures.js';

/** What a trainer needs of the node's models. */
export interface TrainedModelsFace {
  models(): readonly { readonly name: string; readonly version: number }[];
  rescan(): Promise<void>;
  predict(
    picture: { readonly kind: 'encoded'; readonly bytes: Uint8Array },
    options: {
      readonly model: string;
      readonly version: number;
      readonly topK: number;
      readonly signal: AbortSignal;
    },
  ): Promise<{ readonly labels: readonly LabelProbability[] }>;
}

/** The trainer of a node. It writes below the state folder only: `models` and `training`. */
export function makeTrainer(
  {
    settings,
    statePath,
    peers,
  }: Pick<DeviceContext<CnnSettings>, 'settings' | 'statePath' | 'peers'>,
  cnn: TrainedModelsFace,
): Trainer {
  return new Trainer({
    modelsRoot: path.join(statePath, 'models'),
    trainingRoot: path.join(statePath, 'training'),
    limits: settings,
    served: {
      versions: (model) =>
        cnn.models().flatMap(({ name, version }) => (name === model ? [version] : [])),
      rescan: () => cnn.rescan(),
      async predict(bytes, options) {
        const { labels } = await cnn.predict({ kind: 'encoded', bytes }, { ...options, topK: 1 });
        return labels[0]?.label ?? '';
      },
    },
    storedPictures: (client, prefix) =>
      storedPictures(peers, { client, prefix, maxImageBytes: settings.max_image_bytes }),
  });
}
