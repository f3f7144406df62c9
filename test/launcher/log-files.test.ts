import { appendFile, mkdir, writeFile } from 'node:fs/promises';

import { LogFiles, LogFollower } from '../../launcher/log-files.js';
import { assert, suite } from '../suite.js';
import { StateFolder } from './state-folder.js';

suite('log files', (test) => {
  test('the last lines of a log are at hand, however long it is', async () => {
    await using folder = await StateFolder.create();
    const logs = new LogFiles(folder.path);
    await writeFile(await logs.prepare('math-1'), `${'x'.repeat(100)}\n`.repeat(10_000) + 'a\nb\n');
    assert.equal(await logs.lastLines('math-1', 2), ['a', 'b']);
    assert.equal(await logs.lastLines('nobody', 2), []);
  });

  test('a log that grew long is put aside at the next start', async () => {
    await using folder = await StateFolder.create();
    const logs = new LogFiles(folder.path);
    await writeFile(await logs.prepare('math-1'), Buffer.alloc(17 * 1024 ** 2, 'x\n'));
    await logs.prepare('math-1');
    assert.equal(await logs.members(), []);
  });

  test('the servers of ZooKeeper stand apart from the members', async () => {
    await using folder = await StateFolder.create();
    const logs = new LogFiles(folder.path);
    for (const name of ['math-1', 'zookeeper-1']) await writeFile(await logs.prepare(name), '');
    assert.equal(await logs.members(), ['math-1']);
    assert.equal(await logs.all(), ['math-1', 'zookeeper-1']);
  });

  test('a follower hears whole lines, also of logs that begin later, and nothing of the past', async () => {
    await using folder = await StateFolder.create();
    const logs = new LogFiles(folder.path);
    await mkdir(logs.folder, { recursive: true });
    await writeFile(logs.fileOf('a'), 'past\n');
    const heard: string[] = [];
    let enough: () => void = () => undefined;
    const three = new Promise<void>((resolve) => (enough = resolve));
    const follower = new LogFollower(logs, (member, line) => {
      heard.push(`${member}: ${line}`);
      if (heard.length === 3) enough();
    });
    await follower.start();
    await appendFile(logs.fileOf('a'), 'one\ntw');
    await appendFile(logs.fileOf('a'), 'o\n');
    await appendFile(logs.fileOf('b'), 'three\n');
    await three;
    await follower.stop();
    assert.equal(heard.sort(), ['a: one', 'a: two', 'b: three']);
  });
});
