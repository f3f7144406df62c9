import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { ManualClock } from '../../../runtime/clock.js';
import { FractoryError } from '../../../runtime/errors.js';
import { Journal } from '../../../services/block/journal.js';
import { DEFAULT_BLOCK_LIMITS } from '../../../services/block/limits.js';
import { Owner } from '../../../services/storage/owner.js';
import { assert, rejects, suite, throws } from '../../suite.js';
import { BLOCK, deviceFolder, readWhole, signal } from './fixture.js';

suite('block device', (test) => {
  test('what is written to extents is read back, across extents and blocks, also by the next process', async () => {
    await using folder = await deviceFolder();
    const written = Buffer.from(Array.from({ length: 5 * BLOCK }, (_, index) => index % 251));
    const ids: string[] = [];
    {
      await using device = await folder.open();
      for (const bytes of [1, 2 * BLOCK, 2 * BLOCK - 1])
        ids.push((await device.allocate(bytes)).id);
      await using content = device.content(ids);
      assert.is(content.sizeBytes, 5 * BLOCK);
      await content.write(300, written.subarray(300, 2000));
      await content.write(0, written.subarray(0, 300));
      await content.write(2000, written.subarray(2000));
      await device.sync(ids);
    }
    await using device = await folder.open();
    await using content = device.content(ids);
    assert.ok((await readWhole(content)).equals(written));
    const part = await readWhole(content, { offset: 511, length: 1025 });
    assert.ok(part.equals(written.subarray(511, 1536)));
    await using short = device.content(ids, 700);
    assert.is(short.sizeBytes, 700);
    assert.equal(device.usage(), {
      ...{ blockBytes: BLOCK, capacityBytes: 64 * BLOCK, allocatedBytes: 5 * BLOCK, extents: 3 },
    });
  });

  test('the file is as large as the device and takes no room for what was never written', async () => {
    await using folder = await deviceFolder();
    await using device = await folder.open({ capacityBytes: 256 * 1024 ** 2 });
    const { size, blocks } = await stat(folder.file);
    assert.is(size, 256 * 1024 ** 2);
    assert.ok(blocks * 512 < 1024 ** 2);
    assert.is(device.usage().extents, 0);
  });

  for (const scrubbed of [false, true])
    test(`blocks that are used again are zero, ${scrubbed ? 'after' : 'before'} they were scrubbed`, async () => {
      await using folder = await deviceFolder();
      await using device = await folder.open();
      const first = await device.allocate(64 * BLOCK);
      await using content = device.content([first.id]);
      await content.write(0, Buffer.alloc(64 * BLOCK, 'secret'));
      await device.free([first.id]);
      if (scrubbed) await device.scrubbed();
      const again = await device.allocate(64 * BLOCK);
      await using fresh = device.content([again.id]);
      assert.ok((await readWhole(fresh)).equals(Buffer.alloc(64 * BLOCK)));
    });

  test('freed blocks are scrubbed by and by, also while others are freed', async () => {
    await using folder = await deviceFolder();
    const clock = new ManualClock();
    await using device = await folder.open({ clock });
    const journal = async (): Promise<string> => readFile(`${folder.file}.journal`, 'utf8');
    for (let round = 0; round < 3; round++) {
      const { id } = await device.allocate(BLOCK);
      await device.free([id]);
      clock.advance(100);
    }
    while (!(await journal()).includes('clean')) await new Promise(setImmediate);
    await device.scrubbed();
    clock.advance(1000);
    await new Promise(setImmediate);
    assert.is(clock.pending, 0);
  });

  test('freed blocks that a crash left unscrubbed are still known to be dirty', async () => {
    await using folder = await deviceFolder();
    {
      await using device = await folder.open();
      const { id } = await device.allocate(10 * BLOCK);
      await using content = device.content([id]);
      await content.write(0, Buffer.alloc(10 * BLOCK, 'secret'));
      await device.free([id]);
    }
    await using device = await folder.open();
    const { id } = await device.allocate(64 * BLOCK);
    await using content = device.content([id]);
    assert.ok((await readWhole(content)).equals(Buffer.alloc(64 * BLOCK)));
  });

  test('a full device says how full it is, and has room again after a free', async () => {
    await using folder = await deviceFolder();
    await using device = await folder.open();
    const { id } = await device.allocate(60 * BLOCK);
    const error = await rejects(device.allocate(5 * BLOCK), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
      reason: 'DEVICE_FULL',
    });
    assert.match(error.message, 'block-1 has 2048 bytes free, 2560 were asked for');
    await device.free([id]);
    await device.allocate(64 * BLOCK);
  });

  test('limits are named', async () => {
    await using folder = await deviceFolder();
    const limits = { ...DEFAULT_BLOCK_LIMITS, max_extents: 1, max_extent_bytes: 1000 };
    await using device = await folder.open({ limits: { ...limits, max_open_extents: 1 } });
    const exhausted = { code: status.RESOURCE_EXHAUSTED } as const;
    const named = async (work: Promise<unknown>, limit: string): Promise<void> => {
      assert.match((await rejects(work, FractoryError, exhausted)).message, limit);
    };
    for (const bytes of [0, -1, 1.5, Number.NaN])
      await rejects(device.allocate(bytes), FractoryError, { code: status.INVALID_ARGUMENT });
    await rejects(device.allocate(1, 'a\nb'), FractoryError, { code: status.INVALID_ARGUMENT });
    await named(device.allocate(1001), 'max_extent_bytes is 1000');
    await device.allocate(1000);
    await named(device.allocate(1000), 'max_extents is 1');
    await named(device.free(['a', 'b']), 'max_open_extents is 1');
  });

  test('a freed extent ends its contents, and what was under way is waited for', async () => {
    await using folder = await deviceFolder();
    await using device = await folder.open();
    const { id } = await device.allocate(8 * BLOCK);
    await using content = device.content([id]);
    const chunks = content.read({ offset: 0, length: 8 * BLOCK }, { chunkBytes: BLOCK, signal });
    await chunks.next();
    const writing = content.write(0, Buffer.alloc(8 * BLOCK, 'x'));
    const reading = chunks.next();
    const freed = device.free([id, id, 'nothing']);
    const revoked = { reason: 'CAPABILITY_REVOKED' };
    await Promise.all([
      rejects(reading, FractoryError, revoked),
      rejects(writing, FractoryError, revoked),
      freed,
    ]);
    await rejects(content.write(0, Buffer.alloc(1)), FractoryError, revoked);
    throws(() => device.content([id]), FractoryError, { reason: 'EXTENT_NOT_FOUND' });
    await rejects(device.sync([id]), FractoryError, { reason: 'EXTENT_NOT_FOUND' });
    await device.free([id]);
  });

  test('extents are listed by the beginning of their labels, which has to be long', async () => {
    await using folder = await deviceFolder();
    const limits = { ...DEFAULT_BLOCK_LIMITS, max_page_size: 2 };
    await using device = await folder.open({ limits });
    const mine = 'storage-0123456789~';
    const ids: string[] = [];
    for (const name of ['a', 'b', 'c']) ids.push((await device.allocate(1, mine + name)).id);
    await device.allocate(1, 'storage-0123456789x');
    throws(() => device.list('storage-'), FractoryError, { reason: 'INVALID_ARGUMENT' });
    const first = device.list(mine);
    const second = device.list(mine, first.nextPageToken);
    const found = [...first.extents, ...second.extents];
    assert.equal(found.map(({ id }) => id).sort(), ids.sort());
    assert.is(second.nextPageToken, '');
  });

  test('two can not serve one device file', async () => {
    await using folder = await deviceFolder();
    {
      await using device = await folder.open();
      await rejects(folder.open(), FractoryError, {
        code: status.UNAVAILABLE,
        reason: 'DEVICE_BUSY',
      });
      assert.is(device.usage().extents, 0);
    }
    await using device = await folder.open();
    assert.is(device.usage().extents, 0);
  });

  test('the lock of a dead process is broken, that of another machine never is', async () => {
    await using folder = await deviceFolder();
    const lock = `${folder.file}.lock`;
    const { text } = await Owner.ofThisProcess();
    const held = path.join(lock, `held~${text.replace(/-\d+-(\d+)$/, '-1-$1')}~0~`);
    await mkdir(lock);
    await writeFile(held, '');
    {
      await using device = await folder.open();
      assert.is(device.usage().extents, 0);
    }
    const foreign = path.join(lock, `held~${text.replace(/^\w+/, '00000000')}~0~`);
    await rename(path.join(lock, 'free'), foreign);
    const long = new Date(Date.now() - 86_400_000);
    await utimes(foreign, long, long);
    await rejects(folder.open(), FractoryError, { reason: 'DEVICE_BUSY' });
  });

  test('a device grows, and does not shrink or change its blocks', async () => {
    await using folder = await deviceFolder();
    const ids: string[] = [];
    {
      await using device = await folder.open();
      ids.push((await device.allocate(64 * BLOCK)).id);
    }
    const refused = { code: status.FAILED_PRECONDITION } as const;
    await rejects(folder.open({ blockBytes: 1024 }), FractoryError, refused);
    await rejects(folder.open({ capacityBytes: 63 * BLOCK }), FractoryError, refused);
    await using device = await folder.open({ capacityBytes: 100 * BLOCK });
    await device.allocate(36 * BLOCK);
    assert.is(device.content(ids).sizeBytes, 64 * BLOCK);
  });

  test('file and journal belong together', async () => {
    await using folder = await deviceFolder();
    const journal = `${folder.file}.journal`;
    {
      await using device = await folder.open();
      await device.allocate(BLOCK);
    }
    const text = await readFile(journal);
    await rm(journal);
    await rejects(folder.open(), FractoryError, { reason: 'JOURNAL_MISSING' });
    await writeFile(journal, text);
    await rm(folder.file);
    await rejects(folder.open(), FractoryError, { reason: 'DEVICE_DAMAGED' });
  });

  test('a journal that is damaged before its end is refused', async () => {
    await using folder = await deviceFolder();
    {
      await using device = await folder.open();
      for (let index = 0; index < 3; index++) await device.allocate(BLOCK);
    }
    const journal = `${folder.file}.journal`;
    const text = await readFile(journal);
    const second = text.indexOf('\n') + 30;
    for (const at of [5, second]) {
      const damaged = Buffer.from(text);
      damaged[at]! ^= 1;
      await writeFile(journal, damaged);
      await rejects(folder.open(), FractoryError, {
        code: status.DATA_LOSS,
        reason: 'DEVICE_DAMAGED',
      });
    }
  });

  test('the journal is compacted and says the same', async () => {
    await using folder = await deviceFolder();
    const ids: string[] = [];
    {
      await using device = await folder.open({ compactBytes: 2000 });
      for (let round = 0; round < 60; round++) {
        ids.push((await device.allocate(BLOCK, `round ${String(round)}`)).id);
        if (ids.length > 5) await device.free(ids.splice(0, 3));
      }
      assert.ok((await stat(`${folder.file}.journal`)).size < 5000);
    }
    await using device = await folder.open();
    assert.is(device.usage().extents, ids.length);
    assert.is(device.content(ids).sizeBytes, ids.length * BLOCK);
  });

  test('a compaction that a crash cut off leaves the journal as it was', async () => {
    await using folder = await deviceFolder();
    {
      await using device = await folder.open();
      await device.allocate(BLOCK);
      await writeFile(`${folder.file}.journal.new`, '0123456789abcdef {"half a');
    }
    await using device = await folder.open({ compactBytes: 0 });
    await device.allocate(BLOCK);
    assert.is(device.usage().extents, 2);
  });

  test('a table of many lines is compacted, closed and found again', async () => {
    await using folder = await deviceFolder();
    const capacityBytes = 2000 * BLOCK;
    {
      await using device = await folder.open({ capacityBytes, compactBytes: 50_000 });
      const extents = await Promise.all(
        Array.from({ length: 1200 }, () => device.allocate(1, 'of a crowd of many')),
      );
      const ids = extents.filter((_, index) => index % 12 === 0).map(({ id }) => id);
      await device.free(ids);
      for (let index = 0; index < 20; index++) await device.allocate(1, 'of a crowd of many');
    }
    await using device = await folder.open({ capacityBytes });
    assert.is(device.usage().extents, 1120);
    const pages = [device.list('of a crowd of many')];
    while (pages.at(-1)!.nextPageToken !== '')
      pages.push(device.list('of a crowd of many', pages.at(-1)!.nextPageToken));
    assert.is(new Set(pages.flatMap(({ extents }) => extents.map(({ id }) => id))).size, 1120);
  });

  test(
    'a full disk under the device says so, and what was there stays',
    async () => {
      await using folder = await deviceFolder();
      const mount = path.join(path.dirname(folder.file), 'small');
      await mkdir(mount);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', mount]);
      try {
        const file = path.join(mount, 'block-1.img');
        await using device = await folder.open({ file, capacityBytes: 16 * 1024 ** 2 });
        const small = await device.allocate(1000);
        const large = await device.allocate(8 * 1024 ** 2);
        await using kept = device.content([small.id]);
        await kept.write(0, Buffer.alloc(1000, 'x'));
        await using content = device.content([large.id]);
        await rejects(content.write(0, Buffer.alloc(8 * 1024 ** 2, 'y')), FractoryError, {
          code: status.RESOURCE_EXHAUSTED,
          reason: 'DISK_FULL',
        });
        let extents = 2;
        const untilFull = async (): Promise<never> => {
          for (; ; extents++) await device.allocate(1, 'the last page of the journal fills up');
        };
        await rejects(untilFull(), FractoryError, { reason: 'DISK_FULL' });
        assert.is(device.usage().extents, extents);
        assert.is((await readWhole(kept)).subarray(0, 1000).toString(), 'x'.repeat(1000));
        await device[Symbol.asyncDispose]();
        const found = await Journal.read(`${file}.journal`, 'block-1');
        assert.is(found?.table.extents.size, extents);
      } finally {
        execFileSync('umount', ['-l', mount]);
      }
    },
    { skip: canMount() ? false : 'mounting is not allowed here' },
  );

  test('many at once get blocks of their own', async () => {
    await using folder = await deviceFolder();
    await using device = await folder.open();
    const extents = await Promise.all(Array.from({ length: 32 }, () => device.allocate(2 * BLOCK)));
    const ids = extents.map(({ id }) => id);
    await Promise.all(
      ids.map(async (id, index) => {
        await using content = device.content([id]);
        await content.write(0, Buffer.alloc(2 * BLOCK, index + 1));
      }),
    );
    await using whole = device.content(ids);
    const expected = Buffer.concat(ids.map((_, index) => Buffer.alloc(2 * BLOCK, index + 1)));
    assert.ok((await readWhole(whole)).equals(expected));
    await rejects(device.allocate(1), FractoryError, { reason: 'DEVICE_FULL' });
  });
});

function canMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
