import path from 'node:path';

import { cnnAdaptor } from '../../services/cnn/adaptor.js';
import { CnnService } from '../../services/cnn/service.js';
import type { MakeDevice } from '../kernel/device.js';
import { openInferenceService } from './open-inference/service.js';
import { cnnTypedService } from './service.js';
import type { CnnSettings } from './settings.js';
import { makeTrainer } from './trainer.js';
import { trainingHandlers } from './training-handlers.js';

/** A CNN node's device. It serves the models that came with the product, those under `.fractory/models` and those of `models_path`. */
export const makeCnnDevice: MakeDevice<CnnSettings> = async (context) => {
  const { settings, root, statePath, log, peers, registry } = context;
  const writableRoot = path.join(statePath, 'models');
  const roots = [path.join(root, 'services', 'cnn', 'models'), writableRoot];
  if (settings.models_path !== undefined) roots.push(path.resolve(root, settings.models_path));
  const cnn = await CnnService.open({
    ...{ roots, writableRoot, defaultModel: settings.default_model, limits: settings, log },
    ...(registry ? { registry } : {}),
  });
  const trainer = makeTrainer(context, cnn);
  return {
    adaptor: cnnAdaptor(cnn),
    services: [
      cnnTypedService(cnn, peers, trainingHandlers(trainer)),
      openInferenceService(cnn, settings.max_typed_elements),
    ],
    [Symbol.asyncDispose]: async () => {
      await trainer[Symbol.asyncDispose]();
      await cnn[Symbol.asyncDispose]();
    },
  };
};
