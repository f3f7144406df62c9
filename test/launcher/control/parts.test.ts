import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { knownNodes } from '../../../launcher/control/known-nodes.js';
import { restartOrder } from '../../../launcher/control/restart-order.js';
import { Roster } from '../../../launcher/control/roster.js';
import { removeLeftSocket, socketPlace } from '../../../launcher/control/socket-path.js';
import { withPreferredPort } from '../../../launcher/node-commands.js';
import type { RunRecord } from '../../../launcher/run-file.js';
import { sleep } from '../../../runtime/deadline.js';
import { assert, suite } from '../../suite.js';
import { member, MemberList } from '../../controllers/kernel/member-list.js';

async function folder(...below: string[]): Promise<{ readonly path: string } & AsyncDisposable> {
  const root = await mkdtemp(path.join(tmpdir(), 'fractory-socket-'));
  const whole = path.join(root, ...below);
  await mkdir(whole, { recursive: true });
  return { path: whole, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}

const NOTHING: RunRecord = {
  ...{ launcher: { pid: 1, startTime: '' }, phase: 'serving', detached: false, dataCenter: 'x' },
  ...{ configFile: '/x.ini', coordinator: '', startedAt: '', processes: [] },
};

const exists = (file: string): Promise<boolean> =>
  stat(file).then(
    () => true,
    () => false,
  );

suite('parts of the control channel', (test) => {
  test('a restart goes from what is needed to what needs it, and from followers to the leader', () => {
    const nodes = [
      ...['application-1', 'cnn-1', 'storage-1', 'storage-2', 'storage-3', 'block-1'],
    ].map((name) => ({ name, type: name.split('-', 1)[0] ?? '' }));
    const leader = member('storage-2', { sequence: 1 });
    const members = [leader, member('storage-1', { sequence: 2 }), member('cnn-1')];
    assert.equal(
      restartOrder(nodes, members).map(({ name }) => name),
      ['block-1', 'storage-1', 'storage-3', 'storage-2', 'cnn-1', 'application-1'],
    );
  });

  test('the socket is in the state folder, in place of one that was left behind', async () => {
    await using state = await folder();
    await writeFile(path.join(state.path, 'control.sock'), '');
    const place = await socketPlace(state.path);
    assert.is(place.file, path.join(state.path, 'control.sock'));
    assert.not.ok(await exists(place.file));
    await place.remove();
  });

  test('where that path is too long for a socket it has a folder of its own, which goes with it', async () => {
    await using state = await folder('x'.repeat(60), 'y'.repeat(60));
    for (const isLeft of [false, true]) {
      const place = await socketPlace(state.path);
      assert.ok(Buffer.byteLength(place.file) <= 103, place.file);
      const { mode } = await stat(path.dirname(place.file));
      assert.is(mode & 0o777, 0o700);
      await writeFile(place.file, '');
      await (isLeft ? removeLeftSocket(place.file) : place.remove());
      assert.not.ok(await exists(path.dirname(place.file)));
    }
    assert.equal(await readdir(state.path), []);
  });

  test('what a run file names as a socket is removed only if it is one of ours', async () => {
    await using state = await folder();
    const file = path.join(state.path, 'precious.txt');
    await writeFile(file, '');
    await removeLeftSocket(file);
    assert.ok(await exists(file));
  });

  test(
    'a node that stands still is told from one that starts',
    async () => {
      const child = spawn('sleep', ['60']);
      const pid = child.pid ?? 0;
      const processes = [{ name: 'math-1', kind: 'node' as const, pid, startTime: '' }];
      const states = async () =>
        (await knownNodes({ ...NOTHING, processes })).map(({ state }) => state);
      assert.equal(await states(), [undefined]);
      child.kill('SIGSTOP');
      while ((await states())[0] !== 'FROZEN') await sleep(5);
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
    { skip: process.platform !== 'linux' && 'only Linux has /proc' },
  );

  test('a node has the port of its life before again, unless its port is fixed', () => {
    const command = {
      ...{ name: 'math-1', type: 'math', main: 'main.js', environment: {}, logFile: '' },
      args: ['--name', 'math-1'],
    };
    const second = withPreferredPort(command, 4001);
    assert.equal(second.args, ['--name', 'math-1', '--preferred-port', '4001']);
    assert.equal(withPreferredPort(second, 4002).args, [
      ...['--name', 'math-1', '--preferred-port', '4002'],
    ]);
    const fixed = { ...command, args: ['--port', '50051'] };
    assert.is(withPreferredPort(fixed, 4001), fixed);
    assert.is(withPreferredPort(command, 0), command);
  });

  test('a life whose process has ended is taken out of the list, a later one stays', async () => {
    const list = new MemberList();
    await using roster = new Roster(list);
    await roster.start(0);
    list.set(member('math-1', { pid: 7, instance: 'first', address: '127.0.0.1:4001' }));
    assert.is(roster.lastPort('math-1'), 4001);
    await roster.forget({ name: 'math-1', pid: 8 });
    assert.is(roster.members().length, 1);
    await roster.forget({ name: 'math-1', pid: 7 });
    assert.equal(roster.members(), []);
    assert.equal([roster.lastPort('math-1'), roster.lastPort('math-2')], [4001, 0]);
  });
});
