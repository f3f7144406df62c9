import { once, EventEmitter } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { ManualClock, systemClock } from '../../../../runtime/clock.js';
import { FolderWatcher } from '../../../../services/cnn/repository/folder-watcher.js';
import { assert, suite } from '../../../suite.js';
import { encoded, openCnn, temporaryFolder } from '../fixture.js';
import { averagingCard, installModel } from '../onnx-model.js';
import sharp from 'sharp';

suite('watching folders of models', (test) => {
  test('a change deep below a folder is heard, long before the next look', async () => {
    await using folder = await temporaryFolder();
    await mkdir(path.join(folder.path, 'a', '1'), { recursive: true });
    const events = new EventEmitter();
    using watcher = new FolderWatcher([folder.path], {
      ...{ clock: systemClock, rescanMs: 3_600_000 },
      onChange: () => {
        events.emit('look');
        return Promise.resolve();
      },
    });
    watcher.start();
    for (const name of ['one', 'two']) {
      const looked = once(events, 'look');
      await writeFile(path.join(folder.path, 'a', '1', name), 'x');
      await looked;
    }
  });

  test('where nothing is heard it looks now and then, also for folders that come later', async () => {
    await using folder = await temporaryFolder();
    const clock = new ManualClock();
    let looks = 0;
    using watcher = new FolderWatcher([path.join(folder.path, 'later')], {
      ...{ clock, rescanMs: 5000 },
      onChange: () => {
        looks++;
        return Promise.resolve();
      },
    });
    watcher.start();
    for (const expected of [1, 2, 3]) {
      clock.advance(4999);
      assert.is(looks, expected - 1);
      clock.advance(1);
      assert.is(looks, expected);
      await new Promise(setImmediate);
      if (expected === 1) await mkdir(path.join(folder.path, 'later'));
    }
  });

  test('it never looks twice at a time, and not after its end', async () => {
    const clock = new ManualClock();
    const ends: (() => void)[] = [];
    const watcher = new FolderWatcher([], {
      ...{ clock, rescanMs: 10 },
      onChange: () => new Promise<void>((resolve) => ends.push(resolve)),
    });
    watcher.start();
    clock.advance(1000);
    assert.is(ends.length, 1);
    ends[0]?.();
    await new Promise(setImmediate);
    clock.advance(10);
    assert.is(ends.length, 2);
    watcher[Symbol.dispose]();
    ends[1]?.();
    await new Promise(setImmediate);
    clock.advance(1000);
    assert.equal([ends.length, clock.pending], [2, 0]);
  });

  test('a version that is put beside a model in use serves by itself, without a call', async ({
    signal,
  }) => {
    await using folder = await temporaryFolder();
    await installModel(folder.path, averagingCard('average'));
    await using cnn = await openCnn([folder.path], {}, 'average');
    const background = '#fff';
    const picture = encoded(
      await sharp({ create: { width: 8, height: 8, channels: 3, background } })
        .png()
        .toBuffer(),
    );
    assert.is((await cnn.predict(picture)).version, 1);
    await installModel(folder.path, { ...averagingCard('average'), version: 2 });
    while ((await cnn.predict(picture)).version === 1) signal.throwIfAborted();
  });
});
