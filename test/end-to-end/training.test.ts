import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { colourPictures } from '../services/cnn/training/pictures.js';
import { assert, suite } from '../suite.js';
import { LiveDataCenter, Shared } from './live-data-center.js';

const timeoutMs = 90_000;
const dataCenter = new Shared(() =>
  LiveDataCenter.up({
    FRACTORY_ZOOKEEPER_ENABLED: 'false',
    FRACTORY_CONTROLLERS_CONTROLLER_NAMES: 'cnn_controller',
    FRACTORY_CNN_CONTROLLER_TRAINING_THREADS: '1',
    FRACTORY_CNN_CONTROLLER_TUNE: 'off',
  }),
);
const QUICK = ['--network', 'small', '--size', '32'] as const;

interface Model {
  readonly model: string;
  readonly version: number;
  readonly accuracy: number;
  readonly sha256: string;
  readonly curve: string;
}

/** A folder of reddish and bluish pictures. */
async function colours(live: LiveDataCenter, perClass = 60): Promise<string> {
  const folder = path.join(live.folder, 'colours');
  for (const { path: name, bytes } of await colourPictures(perClass)) {
    await mkdir(path.join(folder, path.dirname(name)), { recursive: true });
    await writeFile(path.join(folder, name), bytes);
  }
  return folder;
}

/** The last line of what a command printed. */
function lastOf(stdout: string): Model {
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Model;
}

suite('./datacenter train', (test) => {
  test(
    'makes a model of a folder, which the node serves at once',
    async () => {
      const live = await dataCenter.get();
      const folder = await colours(live);
      await symlink('/etc/hostname', path.join(folder, 'red', 'link.png'));
      await writeFile(path.join(folder, 'red', 'notes.txt'), 'no picture');
      const args = ['train', 'colours', '--data', folder, '--epochs', '6', ...QUICK];
      const { stdout, stderr } = await live.ok(...args, '--json');
      assert.match(stderr, /skipped red\/link.png: is a symbolic link/);
      assert.match(stderr, /skipped red\/notes.txt: .*none of JPEG/);
      const { version, accuracy, curve } = lastOf(stdout);
      assert.is(version, 1);
      assert.ok(accuracy > 0.9, `accuracy ${String(accuracy)}`);
      assert.match(await readFile(curve, 'utf8'), /^<svg/);
      const predicted = await live.json<{ label: string }>(
        ...['predict', path.join(folder, 'red', '1.png'), '--model', 'colours'],
      );
      assert.is(predicted.label, 'red');
    },
    { timeoutMs },
  );

  test(
    'stopped by Ctrl-C it keeps its epochs and goes on to the same model as without',
    async () => {
      const live = await dataCenter.get();
      const folder = await colours(live);
      const args = ['train', 'stopped', '--data', folder, '--epochs', '25', ...QUICK];
      const command = live.start(...args);
      await command.said('epoch  2/25');
      command.signal('SIGINT');
      const { code, stderr } = await command.ended;
      assert.is(code, 130);
      assert.match(stderr, /of 25 epochs are kept.*--resume goes on/);
      const resumed = lastOf((await live.ok('train', 'stopped', '--resume', '--json')).stdout);
      const whole = lastOf((await live.ok(...args, '--json')).stdout);
      assert.is(resumed.version, 1);
      assert.is(whole.version, 2);
      assert.is(resumed.sha256, whole.sha256);
    },
    { timeoutMs },
  );

  test(
    'says in one line what is wrong, with the exit codes of all commands',
    async () => {
      const live = await dataCenter.get();
      const folder = await colours(live);
      for (const [args, exitCode, told] of [
        [['x', '--data', '/nowhere'], 3, /there is no folder or tar \/nowhere/],
        [['x'], 2, /--data: is missing/],
        [['x', '--data', folder, '--size', '33'], 2, /33 is not a multiple of 16/],
        [['../x', '--data', folder], 2, /model/],
        [['x', '--data', path.join(folder, 'red')], 1, /0 pictures can be used/],
        [['x', '--resume'], 1, /no training of x was interrupted/],
        [['x', '--data', folder, '--epochs', 'many'], 2, /whole number/],
      ] as const) {
        const { code, stderr } = await live.run('train', ...args);
        assert.is(code, exitCode, `${args.join(' ')}: ${stderr}`);
        assert.match(stderr, told);
      }
    },
    { timeoutMs },
  );

  test(
    'ends with a clear line when its node dies',
    async () => {
      const live = await dataCenter.get();
      const folder = await colours(live);
      const command = live.start(
        ...['train', 'lost', '--data', folder, '--epochs', '10000', ...QUICK],
      );
      await command.said('epoch     1/10000');
      process.kill((await live.leader('cnn')).pid, 'SIGKILL');
      const { code, stderr } = await command.ended;
      assert.is(code, 5);
      assert.match(stderr, /the node cnn-1 is lost/);
      assert.match(stderr, /train lost --resume goes on/);
    },
    { timeoutMs },
  );

  test('leaves nothing behind', async () => {
    await dataCenter.close();
  });
});
