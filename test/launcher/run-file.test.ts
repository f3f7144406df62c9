import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';

import { identify, isRunning, signalProcess } from '../../launcher/process-identity.js';
import type { ProcessIdentity } from '../../launcher/process-identity.js';
import { RunFile } from '../../launcher/run-file.js';
import type { RunRecord } from '../../launcher/run-file.js';
import { assert, suite } from '../suite.js';
import { StateFolder } from './state-folder.js';

async function self(): Promise<ProcessIdentity> {
  const identity = await identify(process.pid);
  if (!identity) throw new Error('this process is not there');
  return identity;
}

const recordOf = (launcher: ProcessIdentity): RunRecord => ({
  ...{ launcher, phase: 'serving', detached: false, dataCenter: 'x', configFile: '/x.ini' },
  ...{ coordinator: 'embedded://127.0.0.1:1', startedAt: '2026-01-01T00:00:00.000Z' },
  processes: [],
});

suite('run file', (test) => {
  test('is none where nobody wrote one', async () => {
    await using folder = await StateFolder.create();
    assert.equal(await new RunFile(folder.path).read(), { state: 'none' });
  });

  test('is running while its launcher lives, and only one can create it', async () => {
    await using folder = await StateFolder.create();
    const file = new RunFile(folder.path);
    const record = recordOf(await self());
    const created = await Promise.all([1, 2, 3, 4].map(() => file.create(record)));
    assert.is(created.filter(Boolean).length, 1);
    assert.equal(await file.read(), { state: 'running', record });
  });

  test('is stale when another process has the pid of its launcher now', async () => {
    await using folder = await StateFolder.create();
    const file = new RunFile(folder.path);
    await file.create(recordOf({ ...(await self()), startTime: 'long ago' }));
    assert.is((await file.read()).state, 'stale');
  });

  test('is stale when its launcher was killed', async () => {
    await using folder = await StateFolder.create();
    const child = spawn('sleep', ['60']);
    const identity = await identify(child.pid ?? 0);
    if (!identity) throw new Error('sleep is not there');
    const file = new RunFile(folder.path);
    await file.create(recordOf(identity));
    assert.is((await file.read()).state, 'running');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.is((await file.read()).state, 'stale');
  });

  for (const content of ['', '{', '{"pid": 7}'])
    test(`is none where it says ${content || 'nothing'}`, async () => {
      await using folder = await StateFolder.create();
      const file = new RunFile(folder.path);
      await writeFile(file.file, content);
      assert.equal(await file.read(), { state: 'none' });
      assert.is(await file.create(recordOf(await self())), true);
    });
});

suite('process identity', (test) => {
  test('a signal never reaches a later process with the same pid', async () => {
    const child = spawn('sleep', ['60']);
    const identity = await identify(child.pid ?? 0);
    if (!identity) throw new Error('sleep is not there');
    assert.is(await signalProcess({ ...identity, startTime: 'earlier' }, 'SIGKILL'), false);
    assert.is(await isRunning(identity), true);
    assert.is(await signalProcess(identity, 'SIGKILL'), true);
    await once(child, 'exit');
    assert.is(await isRunning(identity), false);
  });
});
