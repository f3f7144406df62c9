import { mkdir, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { paintShape, SHAPES } from '../../applications/sdk/painter.js';
import { seededRandom } from '../../runtime/seeded-random.js';
import { assert, suite } from '../suite.js';
import { leavesNothing, LiveDataCenter, Shared } from './live-data-center.js';

const timeoutMs = 60_000;
/** Two CNN members, without ZooKeeper. */
const shared = new Shared(() =>
  LiveDataCenter.up({ FRACTORY_CNN_CONTROLLER_INSTANCES: '2' }, '--no-zookeeper'),
);

interface Line {
  readonly file: string;
  readonly label?: string;
  readonly probability?: number;
  readonly error?: string;
}

interface Models {
  readonly members: readonly string[];
  readonly models: readonly {
    readonly name: string;
    readonly version: number;
    readonly members: readonly { readonly member: string; readonly state: string }[];
  }[];
}

/** A folder with `count` painted shapes whose names say what they show. */
async function painted(folder: string, count: number): Promise<string> {
  await mkdir(path.join(folder, 'deep'), { recursive: true });
  const random = seededRandom(7);
  for (let index = 0; index < count; index++) {
    const shape = SHAPES[index % SHAPES.length]!;
    const name = `${String(index).padStart(4, '0')}-${shape}.png`;
    const below = index % 2 === 0 ? folder : path.join(folder, 'deep');
    await writeFile(path.join(below, name), await paintShape(shape, random));
  }
  return folder;
}

function linesOf(stdout: string): Line[] {
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

async function states(dataCenter: LiveDataCenter, name: string): Promise<string[]> {
  const { models } = await dataCenter.json<Models>('models');
  const found = models.find((model) => model.name === name);
  return (found?.members ?? []).map(({ member, state }) => `${member} ${state}`);
}

suite('models and predictions from the command line', (test) => {
  test(
    'a folder of pictures is answered by both members, in order, with exit code 0',
    async () => {
      const dataCenter = await shared.get();
      const folder = await painted(path.join(dataCenter.folder, 'shapes'), 60);
      const { stdout } = await dataCenter.ok('predict', folder, '--model', 'shapes', '--json');
      const lines = linesOf(stdout);
      assert.equal(
        lines.map(({ file }) => file),
        lines.map(({ file }) => file).sort(),
      );
      assert.is(lines.length, 60);
      const right = lines.filter(({ file, label = '-' }) => file.endsWith(`-${label}.png`));
      assert.ok(right.length >= 57, `${String(right.length)} of 60`);
      const table = await dataCenter.ok('predict', folder, '--model', 'shapes');
      assert.match(table.stdout, /^LABEL +FILES +SHARE +MEAN PROBABILITY\n/);
      assert.match(table.stderr, /60 pictures by shapes@\d+ at cnn-1, cnn-2 in /);
      const { models } = await dataCenter.json<Models>('models');
      const shapes = models.find(({ name }) => name === 'shapes');
      assert.equal(
        shapes?.members.map(({ member }) => member),
        ['cnn-1', 'cnn-2'],
      );
    },
    { timeoutMs },
  );

  test(
    'files that are none are told beside the others, with exit code 1',
    async () => {
      const dataCenter = await shared.get();
      const folder = await painted(path.join(dataCenter.folder, 'mixed'), 2);
      await writeFile(path.join(folder, 'a-text.jpg'), 'no picture');
      await writeFile(path.join(folder, 'b-empty.png'), '');
      await truncate(path.join(folder, 'deep', '0001-square.png'), 100);
      await writeFile(path.join(folder, 'c-large.jpg'), Buffer.alloc(17 * 1024 ** 2));
      await writeFile(path.join(folder, 'notes.txt'), 'left out');
      const args = ['predict', folder, '--model', 'shapes'];
      const { code, stdout } = await dataCenter.run(...args, '--json');
      assert.is(code, 1);
      const lines = linesOf(stdout).map(({ file, label, error = '' }) => [
        ...[path.basename(file), label, error],
      ]);
      const [good, text, empty, large, broken] = lines;
      assert.equal(good, ['0000-circle.png', 'circle', '']);
      for (const line of [text, empty, large, broken]) {
        assert.is(line?.[1], undefined);
        assert.match(line?.[2] ?? '', /^\S.{10,}$/);
      }
      assert.match(large?.[2] ?? '', /limit max_image_bytes of cnn-\d is 16777216/);
      const { stderr } = await dataCenter.run(...args);
      assert.match(stderr, /left out 1 file whose name ends like no picture's/);
      assert.match(stderr, /; 4 failed$/m);
    },
    { timeoutMs },
  );

  test(
    'a version is unloaded, loaded, pinned and unpinned at all members',
    async () => {
      const dataCenter = await shared.get();
      const folder = await painted(path.join(dataCenter.folder, 'few'), 4);
      const asking = ['predict', folder, '--model', 'shapes'];
      const { stdout } = await dataCenter.ok('models', 'unload', 'shapes');
      assert.equal(stdout.trim().split('\n'), [
        'cnn-1: shapes (all versions) is unloaded',
        'cnn-2: shapes (all versions) is unloaded',
      ]);
      assert.equal(await states(dataCenter, 'shapes'), ['cnn-1 unloaded', 'cnn-2 unloaded']);
      const refused = await dataCenter.run(...asking);
      assert.is(refused.code, 1);
      assert.match(refused.stderr, /models load shapes loads it/);
      await dataCenter.ok('models', 'load', 'shapes');
      await dataCenter.ok(...asking);
      await dataCenter.ok('models', 'pin', 'shapes@1');
      assert.match((await dataCenter.ok('models')).stdout, /^shapes@1 +pinned +loaded /m);
      await dataCenter.ok('models', 'unpin', 'shapes');
      const unknown = await dataCenter.run('models', 'load', 'shape');
      assert.is(unknown.code, 3);
      assert.match(unknown.stderr, /cnn-1: .*shapes/);
    },
    { timeoutMs },
  );

  test(
    'one of two members may be killed: no file is lost',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const folder = await painted(path.join(dataCenter.folder, 'many'), 400);
      const { pid } = await dataCenter.member('cnn-1');
      const command = dataCenter.start('predict', folder, '--model', 'shapes', '--json');
      await command.said('0020-');
      process.kill(pid, 'SIGKILL');
      const { code, stdout, stderr } = await command.ended;
      assert.is(code, 0, stderr + stdout.slice(-500));
      assert.is(linesOf(stdout).length, 400);
      await dataCenter.statusWhen(
        (members) =>
          members.filter(({ type, state }) => type === 'cnn' && state === 'SERVING').length === 2,
        signal,
      );
    },
    { timeoutMs },
  );

  test(
    'Ctrl-C ends it at once with what is known',
    async () => {
      const dataCenter = await shared.get();
      const folder = path.join(dataCenter.folder, 'many');
      const names = Array.from({ length: 20 }, () => folder);
      const command = dataCenter.start('predict', ...names, '--model', 'shapes', '--json');
      await command.said('0100-');
      command.signal('SIGINT');
      const { code, stdout, stderr } = await command.ended;
      assert.is(code, 130, stderr);
      const known = linesOf(stdout).length;
      assert.ok(known > 20 && known < 8000, String(known));
    },
    { timeoutMs },
  );

  leavesNothing(test, shared, { timeoutMs });
});
