import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, readdir, rename, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError } from '../../../runtime/errors.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { Locks } from '../../../services/storage/locks.js';
import { decode, encode } from '../../../services/storage/metadata.js';
import { Owner } from '../../../services/storage/owner.js';
import { FileStore } from '../../../services/storage/store.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, ended, openStore, readText, startWriter, temporaryFolder } from './fixture.js';

const SHARED = { client: 'admin', name: 'shared.txt' };
const ROUNDS = 12;

suite('several processes on one folder', (test) => {
  test(
    'of conditional writes one wins each version',
    async () => {
      await using fixture = await openStore();
      await fixture.store.write(SHARED, []);
      const writers = [1, 2, 3].map(() => startWriter('race', fixture.root, '15'));
      const outputs = await Promise.all(writers.map(ended));
      const versions = outputs.flatMap((output) => output.trim().split('\n').slice(1).map(Number));
      const expected = Array.from({ length: 45 }, (_, index) => index + 2);
      assert.equal(
        versions.sort((a, b) => a - b),
        expected,
      );
      const lines = (await readText(fixture.store, SHARED)).trim().split('\n');
      assert.is(lines.length, 45);
      for (const { pid } of writers)
        assert.is(lines.filter((line) => line === String(pid)).length, 15);
    },
    { timeoutMs: 60_000 },
  );

  test(
    'a writer killed at any moment leaves a whole file or none, and its leftovers are cleared',
    async () => {
      await using fixture = await openStore({ lock_timeout_ms: 5000 });
      let last = 0n;
      for (let round = 0; round < ROUNDS; round++) {
        const writer = startWriter('flood', fixture.root);
        await once(writer.stdout!, 'data');
        const exit = once(writer, 'exit');
        const killAtMs = Math.random() * 60;
        setTimeout(() => writer.kill('SIGKILL'), killAtMs);
        await exit;
        // Right without any repair, then right after it.
        await checkWhole(fixture.store, fixture.pathOf(SHARED));
        const store = await fixture.another();
        assert.equal(await fixture.temporaries('admin'), []);
        await checkWhole(store, fixture.pathOf(SHARED));
        const { version } = await store.write(SHARED, [Buffer.from('zz')]);
        assert.ok(version > last, `version ${String(version)} after ${String(last)}`);
        last = version;
      }
    },
    { timeoutMs: 60_000 },
  );

  test('a reader beside a writer sees one whole version after the other', async () => {
    await using fixture = await openStore();
    const reader = await fixture.another();
    await fixture.store.write(CAT, [Buffer.alloc(5000, 'a')]);
    let writing = true;
    const write = async (): Promise<void> => {
      for (let round = 0; round < 60; round++)
        await fixture.store.write(CAT, [Buffer.alloc(5000 + round, 97 + (round % 26))]);
      writing = false;
    };
    let last = 0n;
    const read = async (): Promise<void> => {
      while (writing) {
        const { file, data } = await reader.readAll(CAT, 10_000, 'test');
        assert.is(data.length, file.sizeBytes);
        assert.ok(file.version >= last);
        last = file.version;
      }
    };
    await Promise.all([write(), read()]);
  });

  test('two stores of one process and many writes at once give each write a version of its own', async () => {
    await using fixture = await openStore();
    const stores = [fixture.store, await fixture.another()];
    const writes = Array.from({ length: 40 }, (_, index) =>
      stores[index % 2]!.write(CAT, [Buffer.from(String(index))]),
    );
    const versions = new Set((await Promise.all(writes)).map((file) => file.version));
    assert.is(versions.size, 40);
    assert.ok(versions.has(40n));
  });

  for (const renamed of [true, false])
    test(`a write that stopped ${renamed ? 'after' : 'before'} its rename is ${renamed ? 'completed' : 'undone'}`, async () => {
      await using fixture = await openStore();
      await fixture.store.write(CAT, [Buffer.from('old')]);
      await leaveHalfDone(fixture.root, renamed);
      const other = await fixture.another();
      assert.is(await readText(other, CAT), renamed ? 'new' : 'old');
      assert.is((await other.stat(CAT)).version, renamed ? 2n : 1n);
      assert.equal(await fixture.temporaries('admin'), []);
      const { version } = await other.write(CAT, [Buffer.from('next')]);
      assert.is(version, renamed ? 3n : 2n, 'a write that was never made takes no version');
    });
});

suite('a folder that was copied to another disk amid a write', (test) => {
  for (const leftover of [false, true])
    test(`has the new content where it was in place${leftover ? ', although its temporary file came back' : ''}`, async () => {
      await using fixture = await openStore();
      await fixture.store.write(CAT, [Buffer.from('old')]);
      const staged = await leaveHalfDone(fixture.root, true);
      await using copy = await temporaryFolder();
      execFileSync('cp', ['-r', `${fixture.root}/.`, copy.path]);
      const temporary = path.join(copy.path, 'admin', '.fractory', 'tmp', staged);
      if (leftover) await writeFile(temporary, 'new');
      const store = await FileStore.open(copy.path, DEFAULT_STORAGE_LIMITS);
      assert.is(await readText(store, CAT), 'new');
      assert.is((await store.stat(CAT)).version, 2n);
      assert.is((await store.write(CAT, [Buffer.from('next')])).version, 3n);
    });
});

async function checkWhole(
  store: Awaited<ReturnType<typeof openStore>>['store'],
  file: string,
): Promise<void> {
  try {
    const content = await readText(store, SHARED);
    assert.is(await readFile(file, 'utf8'), content);
    if (content === 'zz') return;
    assert.ok(content.length >= 2 * 64 * 1024);
    assert.is(new Set(content).size, 1);
  } catch (error) {
    if (!(error instanceof FractoryError) || error.reason !== 'FILE_NOT_FOUND') throw error;
  }
}

/** Puts version 2 of CAT, content `new`, into the state just before or just after its content is renamed; returns the name of its temporary file. */
async function leaveHalfDone(root: string, renamed: boolean): Promise<string> {
  const folder = path.join(root, 'admin');
  const metadata = path.join(folder, '.fractory', 'meta', 'cat.txt.json');
  const known = decode(CAT, await readFile(metadata, 'utf8'));
  // A name of an earlier boot: its process is gone.
  const owner = (await Owner.ofThisProcess()).text.replace(/^(\w+)-\w+-/, '$1-other-');
  const staged = `put~${owner}~0~cat.txt`;
  const temporary = path.join(folder, '.fractory', 'tmp', staged);
  await writeFile(temporary, 'new');
  const file = {
    ...known.file!,
    version: 2n,
    sizeBytes: 3,
    sha256: createHash('sha256').update('new').digest('hex'),
    inode: String((await stat(temporary, { bigint: true })).ino),
  };
  await writeFile(metadata, encode({ ...known, lastVersion: 2n, pending: { file, staged } }));
  if (renamed) await rename(temporary, path.join(folder, 'cat.txt'));
  return staged;
}

suite('locks', (test) => {
  test('a lock is held by one at a time and can be taken again', async () => {
    await using folder = await temporaryFolder();
    const owner = await Owner.ofThisProcess();
    const rivals = [new Locks(owner, 5000), new Locks(owner, 5000)];
    const lock = path.join(folder.path, '00');
    let inside = 0;
    let most = 0;
    const work = async (): Promise<void> => {
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside--;
    };
    await Promise.all(Array.from({ length: 40 }, (_, i) => rivals[i % 2]!.hold(lock, work)));
    assert.is(most, 1);
    assert.equal(await readdir(lock), ['free']);
    assert.equal(await readdir(folder.path), ['00']);
  });

  test('a lock of a dead process is broken, one of a living process is waited for', async () => {
    await using folder = await temporaryFolder();
    const owner = await Owner.ofThisProcess();
    const locks = new Locks(owner, 50);
    const lock = path.join(folder.path, '00');
    await mkdir(lock);
    const dead = owner.text.replace(/-\d+$/, '-1');
    await writeFile(path.join(lock, `held~${dead}~0~`), '');
    assert.is(await locks.hold(lock, () => Promise.resolve('in')), 'in');
    await rename(path.join(lock, 'free'), path.join(lock, owner.newName('held')));
    await rejects(
      locks.hold(lock, () => Promise.resolve()),
      FractoryError,
      { reason: 'FILE_BUSY' },
    );
  });
});
