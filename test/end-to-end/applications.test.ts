import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { predictStored } from '../../applications/image-prediction.js';
import { DataCenter } from '../../applications/sdk/index.js';
import { paintShape } from '../../applications/sdk/painter.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import { assert, suite } from '../suite.js';
import { CheckoutCopy } from './checkout-copy.js';
import { ForeignClient } from './foreign-client.js';
import { leavesNothing, LiveDataCenter, Shared } from './live-data-center.js';
import { validationPhotographs, whyNoPhotographs } from './photographs.js';

interface Answer {
  readonly application: string;
  readonly result?: string;
  readonly storedAs?: string;
  readonly factorial?: string;
  readonly results?: readonly { label: string; storedAs: string; image: string }[];
  readonly runs: readonly {
    readonly id: string;
    readonly attempts: number;
    readonly receipts: readonly { operation: string; member: string; step: string }[];
  }[];
}

const timeoutMs = 60_000;
const shared = new Shared(() => LiveDataCenter.up({ FRACTORY_ZOOKEEPER_SERVERS: '1' }));

/** What the application node remembers of the run of an answer. */
async function remembered({ runs }: Answer): Promise<{ topology: string; state: string }> {
  const { address } = await (await shared.get()).leader('application');
  const { run } = await new ForeignClient(address).call<{
    run: { topology: string; state: string };
  }>('ApplicationService/Get', { run: runs[0]?.id });
  return run;
}

function operations({ runs }: Answer): string[] {
  return (runs[0]?.receipts ?? []).map(({ operation }) => operation);
}

suite('the applications', (test) => {
  for (const topology of ['ring', 'star']) {
    test(
      `image-prediction tells a drawn shape as a ${topology}, whatever the name of the file`,
      async () => {
        const dataCenter = await shared.get();
        const image = path.join(dataCenter.folder, `my holiday`, `a ${topology} of stars.png`);
        await mkdir(path.dirname(image), { recursive: true });
        await writeFile(image, await paintShape('star', seededRandom(7)));
        const args = ['--image', image, '--client', 'ada', '--model', 'shapes'];
        const how = ['--topology', topology];
        const answer = await dataCenter.json<Answer>('run', 'image-prediction', ...args, ...how);
        const name = `a_${topology}_of_stars.png`;
        const { probability, ...result } = answer.results?.[0] as unknown as {
          probability: number;
        };
        assert.equal(result, {
          image: name,
          label: 'star',
          storedAs: `ada/${name}.prediction.json`,
        });
        assert.ok(probability > 0.5 && probability <= 1);
        assert.equal(operations(answer), ['storage.read', 'cnn.predict', 'storage.write']);
        const file = path.join(dataCenter.statePath, 'storage', 'ada', name);
        assert.ok((await readFile(file)).equals(await readFile(image)));
        const run = await remembered(answer);
        assert.is(run.topology, `TOPOLOGY_${topology.toUpperCase()}`);
        assert.is(run.state, 'RUN_STATE_SUCCEEDED');

        const again = await dataCenter.ok('run', 'image-prediction', ...args, ...how);
        assert.match(again.stderr, /is in storage already/);
        assert.match(again.stdout, /star/);
        assert.match(again.stdout, /predict-2 +cnn\.predict +cnn-1 .*=/);
        // Without a local file the one in storage is taken.
        const stored = ['--image', name, '--client', 'ada', '--model', 'shapes'];
        const third = await dataCenter.json<Answer>('run', 'image-prediction', ...stored, ...how);
        assert.is(third.results?.[0]?.label, 'star');
      },
      { timeoutMs },
    );

    test(
      `shift-left is exact as a ${topology}, for small and for large numbers`,
      async () => {
        const dataCenter = await shared.get();
        for (const [n, m] of [
          [7n, 9],
          [-(10n ** 40n + 7n), 1000],
        ] as const) {
          const answer = await dataCenter.json<Answer>(
            ...['run', 'shift-left', `--n=${String(n)}`, '--m', String(m), '--topology', topology],
          );
          assert.is(answer.result, String(n * 2n ** BigInt(m)));
          assert.is(operations(answer).length, m + 2);
          assert.is(answer.storedAs, `admin/shift-left-${String(n)}-by-${String(m)}.txt`);
          assert.is((await remembered(answer)).topology, `TOPOLOGY_${topology.toUpperCase()}`);
        }
      },
      { timeoutMs },
    );
  }

  test(
    'the template runs, and shows its waterfall to people',
    async () => {
      const dataCenter = await shared.get();
      const answer = await dataCenter.json<Answer>('run', 'template', '--n', '30');
      assert.is(answer.factorial, '265252859812191058636308480000000');
      assert.equal(operations(answer), ['math.factorial', 'storage.write']);
      const { stdout } = await dataCenter.ok('run', 'template');
      assert.match(stdout, /^factorial +2432902008176640000$/m);
      assert.match(stdout, /^run [0-9a-f-]{36}: [\d.]+ ms$/m);
      assert.match(stdout, /factorial-1 +math\.factorial +math-1 .*=/);
    },
    { timeoutMs },
  );

  test(
    'a copy of the template with three changed lines runs at once',
    async () => {
      const dataCenter = await shared.get();
      await using copy = await CheckoutCopy.make();
      const folder = path.join(copy.path, 'applications');
      const changes = [
        ["summary: 'The template: computes n! and stores it'", "summary: 'Squares n and adds one'"],
        ["default: '20'", "default: '12'"],
        [
          'math.factorial({ input: options.n })',
          'math.multiply({ input: options.n, by: options.n }), math.add({ by: 1n })',
        ],
      ] as const;
      let text = await readFile(path.join(folder, 'template.ts'), 'utf8');
      for (const [before, after] of changes) {
        assert.is(text.split(before).length, 2, before);
        text = text.replace(before, after);
      }
      await writeFile(path.join(folder, 'my-app.ts'), text);
      const { code, stdout, stderr } = await dataCenter.startIn(
        copy.path,
        ...['run', 'my-app', '--n', '1000', '--json'],
      ).ended;
      assert.is(code, 0, stderr);
      const answer = JSON.parse(stdout) as Answer;
      assert.is(answer.application, 'my-app');
      assert.is(answer.factorial, '1000001');
      assert.equal(operations(answer), ['math.multiply', 'math.add', 'storage.write']);
      const apps = await dataCenter.startIn(copy.path, 'apps').ended;
      assert.match(apps.stdout, /^my-app +Squares n and adds one$/m);
    },
    { timeoutMs },
  );

  test(
    'what is wrong with a command is said, with the exit code of its kind',
    async () => {
      const dataCenter = await shared.get();
      const nobody = path.join(dataCenter.folder, 'nobody.png');
      const text = path.join(dataCenter.folder, 'text.png');
      await writeFile(text, 'no picture at all');
      const empty = path.join(dataCenter.folder, 'empty');
      await mkdir(empty);
      const rows: readonly (readonly [string[], number, RegExp])[] = [
        [
          ['image-predictoin'],
          3,
          /no application image-predictoin.*did you mean image-prediction\?/,
        ],
        [['shift-left', '--nn', '3'], 2, /unknown option '--nn'/],
        [['shift-left', '--n', 'seven'], 2, /--n: expected a whole number, found "seven"/],
        [['shift-left', '--m', '1001'], 2, /--m: expected 0 to 1000, found 1001/],
        [['template', '--topology', 'mesh'], 2, /mesh.*ring, star/],
        [['image-prediction'], 2, /--image/],
        [['image-prediction', '--image', nobody], 3, /no local file .*nobody\.png/],
        [['image-prediction', '--image', text], 1, /UNSUPPORTED_IMAGE.*step predict-2 on cnn-1/],
        [
          ['image-prediction', '--image', text, '--model', 'cat-vs-dogs'],
          3,
          /did you mean cats-vs-dogs/,
        ],
        [['template', '--n', '-1'], 1, /negative.*step factorial-1 on math-1/],
        [['image-gallery', '--images', nobody], 3, /^error: there is no local .*nobody\.png/],
        [['image-gallery', '--images', text], 2, /^error: .*text\.png is no folder/],
        [['image-gallery', '--images', empty], 3, /^error: .*empty has no picture/],
        [['image-gallery', '--parallelism', '0'], 2, /expected 1 to 64, found 0/],
        [['image-gallery', '--client', 'nobody'], 3, /no picture of nobody; --images FOLDER/],
        [['ensemble', '--image', text, '--weights=-1,1'], 2, /each 0 or more.*found -1,1/],
        [['ensemble', '--image', text, '--weights', '0,0'], 2, /one above 0, found 0,0/],
        [['image-match', '--image', text], 2, /--other: is missing/],
        [['image-match', '--other', text], 2, /--image: is missing/],
        [['image-match', '--alike', '2'], 2, /--alike: expected a number from -1 to 1/],
        [['image-match', '--alike', '0.1'], 2, /--different: 0\.75 is above --alike, 0\.1/],
        [['big-sum', '--n', '99999999999', '--parts', '9'], 1, /max_terms.*more --parts/],
        [['big-sum', '--budget', '0.001'], 5, /--budget SECONDS/],
      ];
      for (const [args, expected, message] of rows) {
        const { code, stdout, stderr } = await dataCenter.run('run', ...args);
        assert.is(code, expected, `${args.join(' ')}: ${stderr}`);
        assert.match(stderr, message);
        assert.is(stdout, '');
      }
      const told = await dataCenter.run('run', 'template', '--n', '-1', '--json');
      const { error } = JSON.parse(told.stdout) as { error: Record<string, string> };
      assert.equal(
        [error['code'], error['reason'], error['step'], error['member']],
        ['INVALID_ARGUMENT', 'OUT_OF_RANGE', 'factorial-1', 'math-1'],
      );
      const unknown = await dataCenter.run('run', 'nothing', '--json');
      assert.match(
        unknown.stdout,
        /^\{"error":\{"code":"NOT_FOUND","reason":"UNKNOWN_APPLICATION"/,
      );
    },
    { timeoutMs },
  );

  test(
    '60 photographs go from storage through the CNN node and back, and at least 51 classes are right',
    async () => {
      const { address } = await (await shared.get()).leader('application');
      const dataCenter = new DataCenter({
        application: 'photographs',
        applicationNodes: [address],
        credentials: { mode: 'open' },
      });
      try {
        const wrong: string[] = [];
        for (const { label, name, data } of await validationPhotographs(30)) {
          const picture = { client: 'photographs', name };
          await dataCenter.files.write(picture, data);
          const { result } = await predictStored(dataCenter, picture, 'cats-vs-dogs');
          if (result.label !== label) wrong.push(name);
        }
        assert.ok(wrong.length <= 9, `wrong: ${wrong.join(', ')}`);
      } finally {
        dataCenter.close();
      }
    },
    { timeoutMs, skip: whyNoPhotographs },
  );

  leavesNothing(test, shared, { timeoutMs });
});
