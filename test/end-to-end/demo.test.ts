import { readFile } from 'node:fs/promises';
import path from 'node:path';

import { SHAPES } from '../../applications/sdk/painter.js';
import { assert, suite } from '../suite.js';
import { LiveDataCenter } from './live-data-center.js';

interface DemoAnswer {
  readonly application: string;
  readonly results: readonly {
    readonly image: string;
    readonly label: string;
    readonly probability: number;
    readonly storedAs: string;
  }[];
}

suite('./datacenter demo', (test) => {
  test(
    'shows people each picture with its waterfall, and where the class is stored',
    async () => {
      await using dataCenter = await LiveDataCenter.create();
      const { stdout, stderr } = await dataCenter.ok('demo', '--no-zookeeper');
      for (const shape of SHAPES) {
        const image = `${shape}-\\w+\\.png`;
        const row = `^${image} +${shape} +[\\d.]+ % +demo/${image}\\.prediction\\.json$`;
        assert.match(stdout, new RegExp(row, 'm'));
      }
      assert.is(
        [...stdout.matchAll(/^ +predict-2 +cnn\.predict +cnn-1 .*=.* ms/gm)].length,
        SHAPES.length,
      );
      assert.match(stderr, /everything is stopped/);
    },
    { timeoutMs: 90_000 },
  );

  for (const how of [[], ['--no-zookeeper']])
    test(
      `${['demo', ...how].join(' ')} names each drawn shape, keeps it in storage and leaves no process`,
      async ({ signal }) => {
        await using dataCenter = await LiveDataCenter.create();
        const demo = dataCenter.start('demo', '--json', ...how);
        await demo.said('drew a');
        const pids = await dataCenter.pids();
        const { code, stdout, stderr } = await demo.ended;
        assert.is(code, 0, stderr);
        await dataCenter.nothingLeft(pids, signal);
        assert.is(pids.length, how.length === 0 ? 1 + 3 + 5 : 1 + 5);

        const { application, results } = JSON.parse(
          stdout.trim().split('\n').at(-1) ?? '',
        ) as DemoAnswer;
        assert.is(application, 'image-prediction');
        assert.equal(
          results.map(({ image, label }) => [image.split('-')[0], label]),
          SHAPES.map((shape) => [shape, shape]),
        );
        for (const { image, label, probability, storedAs } of results) {
          assert.ok(probability > 0.5 && probability <= 1, `${image}: ${String(probability)}`);
          assert.is(storedAs, `demo/${image}.prediction.json`);
          const file = path.join(dataCenter.statePath, 'storage', ...storedAs.split('/'));
          const stored = JSON.parse(await readFile(file, 'utf8')) as { label: string };
          assert.is(stored.label, label);
        }
      },
      { timeoutMs: 90_000 },
    );
});
