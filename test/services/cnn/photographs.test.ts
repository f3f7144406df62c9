import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

import { paintShape, SHAPES } from '../../../applications/sdk/painter.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';
import { encoded, openCnn, productRoot, shippedModels, temporaryFolder } from './fixture.js';

const archive = path.join(productRoot, '..', 'shared', 'data', 'cats-and-dogs.tar');
const PER_LABEL = 50;

suite('the models that ship with the product', (test) => {
  for (const [model, least] of [
    ['cats-vs-dogs', 85],
    ['cats-vs-dogs-small', 80],
  ] as const)
    test(
      `${model} is right on at least ${String(least)} of 100 photographs of the validation set`,
      async () => {
        await using folder = await temporaryFolder();
        await promisify(execFile)('tar', [
          '-xf',
          archive,
          '-C',
          folder.path,
          'cats-and-dogs/validation',
        ]);
        await using cnn = await openCnn([shippedModels]);
        let right = 0;
        for (const label of ['cat', 'dog']) {
          const pictures = path.join(folder.path, 'cats-and-dogs', 'validation', label);
          for (const name of (await readdir(pictures)).sort().slice(0, PER_LABEL)) {
            const { labels } = await cnn.predict(
              encoded(await readFile(path.join(pictures, name))),
              {
                model,
              },
            );
            if (labels[0]?.label === label) right++;
          }
        }
        assert.ok(right >= least, `${String(right)} of ${String(2 * PER_LABEL)}`);
      },
      {
        timeoutMs: 60_000,
        skip:
          !existsSync(archive) &&
          'the photographs are not on this machine: shared/data/cats-and-dogs.tar',
      },
    );

  test(
    'shapes is right on at least 99 of 100 painted pictures',
    async () => {
      await using cnn = await openCnn([shippedModels], {}, 'shapes');
      const seed = Date.now() % 1_000_000;
      const random = seededRandom(seed);
      let wrong = 0;
      for (let count = 0; count < 400; count++) {
        const shape = SHAPES[count % SHAPES.length] ?? 'circle';
        const { labels } = await cnn.predict(
          encoded(await paintShape(shape, random, count % 2 ? 192 : 128)),
        );
        if (labels[0]?.label !== shape) wrong++;
      }
      assert.ok(wrong <= 4, `${String(wrong)} of 400 wrong, seed ${String(seed)}`);
    },
    { timeoutMs: 60_000 },
  );

  test('the painter paints the same picture from the same seed', async () => {
    const [one, two] = await Promise.all(
      [1, 1].map((seed) => paintShape('star', seededRandom(seed))),
    );
    assert.ok(one && two?.equals(one));
  });
});
