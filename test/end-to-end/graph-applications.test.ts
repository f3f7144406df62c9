import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import { paintShape } from '../../applications/sdk/painter.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import { assert, suite } from '../suite.js';
import { flowClaims } from './flow-claims.js';
import { ForeignClient } from './foreign-client.js';
import { GRAPH_TIMEOUT_MS, GraphGround } from './graph-ground.js';
import { leavesNothing, LiveDataCenter, Shared } from './live-data-center.js';
import { pictureClaims } from './picture-claims.js';

const shared = new Shared(() =>
  LiveDataCenter.up({
    FRACTORY_ZOOKEEPER_SERVERS: '1',
    FRACTORY_MATH_CONTROLLER_INSTANCES: '2',
  }),
);

suite('applications that need more than a sequence', (test) => {
  test(
    'a plan is printed in each form, and nothing is run or written',
    async () => {
      const dataCenter = await shared.get();
      const plan = (...args: string[]) => dataCenter.ok('run', ...args, '--plan');
      const { stdout: text } = await plan('image-gallery', '--client', 'ada');
      assert.match(
        text,
        /^plan of image-gallery: 7 steps as a ring, 30 s at most; nothing has run$/m,
      );
      assert.match(
        text,
        /^ +read-3 {2}storage\.read on storage-\d\n.*name from the element\n.*client = "ada"$/m,
      );
      const star = await plan('big-sum', '--topology', 'star', '--json', '--budget', '7');
      const { steps, ...rest } = JSON.parse(star.stdout) as {
        steps: { step: string; members: string[] }[];
      };
      assert.equal(rest, { plan: 'big-sum', topology: 'star', budgetMs: 7000 });
      assert.equal(steps.find((one) => one.step === 'sum_powers-3')?.members.sort(), [
        'math-1',
        'math-2',
      ]);
      const mermaid = await plan('shift-left', '--n', '5', '--format', 'mermaid');
      assert.match(mermaid.stdout, /^flowchart TD\n/);
      const image = path.join(dataCenter.folder, 'planned.png');
      await writeFile(image, await paintShape('star', seededRandom(3)));
      const svg = await plan('ensemble', '--image', image, '--format', 'svg');
      await sharp(Buffer.from(svg.stdout)).png().toBuffer();

      const wrong = await dataCenter.run('run', 'template', '--format', 'svg');
      assert.is(wrong.code, 2);
      assert.match(wrong.stderr, /--format: .*needs --plan/);
      const impossible = await dataCenter.run('run', 'big-sum', '--parts', '0', '--plan');
      assert.match(impossible.stderr, /--parts: expected 1 to 10000, found 0/);
      const { address } = await dataCenter.leader('application');
      const { runs = [] } = await new ForeignClient(address).call<{ runs?: unknown[] }>(
        'ApplicationService/List',
        {},
      );
      assert.equal(runs, []);
      assert.not.ok(existsSync(path.join(dataCenter.statePath, 'storage', 'admin')));
    },
    { timeoutMs: GRAPH_TIMEOUT_MS },
  );

  for (const topology of ['ring', 'star'] as const) {
    const ground = new GraphGround(shared, topology);
    pictureClaims(test, ground);
    flowClaims(test, ground);
  }

  leavesNothing(test, shared, { timeoutMs: GRAPH_TIMEOUT_MS });
});
