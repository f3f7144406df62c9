import path from 'node:path';

import { cnnAdaptor } from '../../services/cnn/adaptor.js';
import { CnnService } from '../../services/cnn/service.js';
import type { MakeDevice } from '../kernel/device.js';
import { cnnTypedService } from './service.js';
import type { CnnSettings } from './settings.js';

/** A CNN node's device. It serves the models that came with the product, those under `.fractory/models` and those of `models_path`. */
export const makeCnnDevice: MakeDevice<CnnSettings> = async (context) => {
  const { settings, root, statePath, log, peers } = context;
  const roots = [path.join(root, 'services', 'cnn', 'models'), path.join(statePath, 'models')];
  if (settings.models_path !== undefined) roots.push(path.resolve(root, settings.models_path));
  const cnn = await CnnService.open({
    roots,
    defaultModel: settings.default_model,
    limits: settings,
  });
  for (const { name, version, state } of cnn.models())
    if (state === 'ready') log.info({ model: name, version }, 'model ready');
    else log.warn({ model: name, version, state }, 'model refused');
  return {
    adaptor: cnnAdaptor(cnn),
    services: [cnnTypedService(cnn, peers)],
    [Symbol.asyncDispose]: () => cnn[Symbol.asyncDispose](),
  };
};
