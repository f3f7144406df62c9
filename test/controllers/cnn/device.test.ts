import path from 'node:path';

import { makeCnnDevice } from '../../../controllers/cnn/device.js';
import { settings } from '../../../controllers/cnn/settings.js';
import { silentLogger } from '../../../runtime/logger.js';
import { noTracer } from '../../../runtime/tracing/tracer.js';
import { assert, suite } from '../../suite.js';
import { productRoot, temporaryFolder } from '../../services/cnn/fixture.js';
import { averagingCard, installModel } from '../../services/cnn/onnx-model.js';

suite('the device of a CNN node', (test) => {
  test('serves the models of the product, of the data center and of its own folder', async () => {
    await using folder = await temporaryFolder();
    await installModel(path.join(folder.path, 'models'), averagingCard('of-the-data-center'));
    const own = path.join(folder.path, 'own');
    await installModel(own, averagingCard('of-its-own'));
    await using device = await makeCnnDevice({
      settings: settings.parse({ models_path: own }),
      storagePath: folder.path,
      root: productRoot,
      statePath: folder.path,
      member: 'cnn-1',
      log: silentLogger(),
      tracer: noTracer,
      peers: { call: () => Promise.reject(new Error('nobody is called')) },
      kernel: undefined as never,
    });
    assert.equal(
      device.adaptor.operations.map(({ spec }) => spec.name),
      ['cnn.predict', 'cnn.inspect', 'cnn.embed', 'cnn.infer'],
    );
    const list = device.services[0]?.handlers['listModels'];
    const { models } = (await (list?.kind === 'unary' && list.handle({}, undefined as never))) as {
      models: { name: string; state: string }[];
    };
    assert.equal(
      models.map(({ name, state }) => `${name}: ${state}`),
      [
        'cats-vs-dogs: ready',
        'cats-vs-dogs-small: ready',
        'of-its-own: ready',
        'of-the-data-center: ready',
        'shapes: ready',
      ],
    );
  });
});
