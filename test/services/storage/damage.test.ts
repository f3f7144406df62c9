import { execFileSync } from 'node:child_process';
import { mkdir, open, readFile, rename, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import { translate } from '../../../services/storage/failures.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { FileStore } from '../../../services/storage/store.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, openStore, readText, temporaryFolder } from './fixture.js';

const LOST = { code: status.DATA_LOSS, reason: 'DATA_LOSS' } as const;

async function flip(file: string, at: number): Promise<void> {
  const handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, at);
  byte[0]! ^= 1;
  await handle.write(byte, 0, 1, at);
  await handle.close();
}

/** Mounts for the time of a test; undefined where that isn't allowed. */
function mounted(folder: string, ...args: string[]): Disposable | undefined {
  try {
    execFileSync('mount', [...args, folder], { stdio: 'ignore' });
  } catch {
    return undefined;
  }
  return {
    [Symbol.dispose]: () => {
      execFileSync('umount', [folder]);
    },
  };
}

function canMount(): boolean {
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
const skip = canMount() ? false : 'mounting is not allowed here';

suite('damaged and unwilling disks', (test) => {
  test('a flipped byte of a small file is DATA_LOSS before the first byte', async () => {
    await using fixture = await openStore();
    await fixture.store.write(CAT, [Buffer.from('some content')]);
    await flip(fixture.pathOf(CAT), 3);
    await using opened = await fixture.store.open(CAT);
    let chunks = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of opened.chunks()) chunks += chunk.length;
    };
    await rejects(read(), FractoryError, LOST);
    assert.is(chunks, 0);
    await fixture.store.write(CAT, [Buffer.from('again')]);
    assert.is(await readText(fixture.store, CAT), 'again');
  });

  test('a flipped byte of a large file is DATA_LOSS before the last chunk', async () => {
    await using fixture = await openStore({ verify_first_bytes: 10, chunk_bytes: 4096 });
    await fixture.store.write(CAT, [Buffer.alloc(100_000)]);
    await flip(fixture.pathOf(CAT), 99_999);
    await using opened = await fixture.store.open(CAT);
    let bytes = 0;
    const read = async (): Promise<void> => {
      for await (const chunk of opened.chunks()) bytes += chunk.length;
    };
    await rejects(read(), FractoryError, LOST);
    assert.ok(bytes > 0 && bytes < 100_000);
  });

  test("a truncated file and damaged metadata are DATA_LOSS, and don't hide other files from a list", async () => {
    await using fixture = await openStore();
    const { store, root } = fixture;
    const dog = { client: 'admin', name: 'dog.txt' };
    const owl = { client: 'admin', name: 'owl.txt' };
    for (const ref of [CAT, dog, owl]) await store.write(ref, [Buffer.from('content')]);
    await truncate(fixture.pathOf(CAT), 3);
    await rejects(store.stat(CAT), FractoryError, LOST);
    const metadata = path.join(root, 'admin', '.fractory', 'meta', 'dog.txt.json');
    await flip(metadata, 20);
    await rejects(store.stat(dog), FractoryError, LOST);
    await rejects(store.write(dog, [Buffer.from('x')]), FractoryError, LOST);
    const { files } = await store.list();
    assert.equal(
      files.map((file) => [file.name, file.version]),
      [
        ['cat.txt', 0n],
        ['dog.txt', 0n],
        ['owl.txt', 1n],
      ],
    );
    await rename(metadata, `${metadata}.away`);
    assert.is(await readText(store, dog), 'content');
  });

  test('files copied to another disk keep their versions and hashes', async () => {
    await using fixture = await openStore();
    await fixture.store.write(CAT, [Buffer.from('a')]);
    const file = await fixture.store.write(CAT, [Buffer.from('b')]);
    await using copy = await temporaryFolder();
    execFileSync('cp', ['-r', `${fixture.root}/.`, copy.path]);
    const store = await FileStore.open(copy.path, DEFAULT_STORAGE_LIMITS);
    assert.equal(await store.stat(CAT), file);
    assert.is(await readText(store, CAT), 'b');
  });

  test(
    'a full disk is DISK_FULL and leaves the old content',
    async () => {
      await using folder = await temporaryFolder();
      using mount = mounted(folder.path, '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs');
      assert.ok(mount);
      const store = await FileStore.open(folder.path, DEFAULT_STORAGE_LIMITS);
      await store.write(CAT, [Buffer.from('old')]);
      await rejects(store.write(CAT, [Buffer.alloc(1_000_000)]), FractoryError, {
        code: status.RESOURCE_EXHAUSTED,
        reason: 'DISK_FULL',
      });
      assert.is(await readText(store, CAT), 'old');
      assert.is((await store.write(CAT, [Buffer.from('new')])).version, 2n);
    },
    { skip },
  );

  test(
    'a folder that is mounted read-only serves its files, also one that was copied there, and refuses writes',
    async () => {
      await using folder = await temporaryFolder();
      {
        const store = await FileStore.open(folder.path, DEFAULT_STORAGE_LIMITS);
        await store.write(CAT, [Buffer.from('old')]);
        await mkdir(path.join(folder.path, 'bob'));
        await writeFile(path.join(folder.path, 'bob', 'copied'), 'copied');
      }
      using mount = mounted(folder.path, '--bind', '-o', 'ro', folder.path);
      assert.ok(mount);
      execFileSync('mount', ['-o', 'remount,bind,ro', folder.path]);
      const store = await FileStore.open(folder.path, DEFAULT_STORAGE_LIMITS);
      const readOnly = { code: status.FAILED_PRECONDITION, reason: 'STORAGE_READ_ONLY' } as const;
      await rejects(store.write(CAT, [Buffer.from('new')]), FractoryError, readOnly);
      await rejects(store.delete(CAT), FractoryError, readOnly);
      assert.is(await readText(store, CAT), 'old');
      assert.is(await readText(store, { client: 'bob', name: 'copied' }), 'copied');
    },
    { skip },
  );

  test('each error of the system has its own reason, and none tells the path', () => {
    const cases = [
      ['ENOSPC', 'write', status.RESOURCE_EXHAUSTED, 'DISK_FULL'],
      ['EDQUOT', 'write', status.RESOURCE_EXHAUSTED, 'DISK_FULL'],
      ['EROFS', 'write', status.FAILED_PRECONDITION, 'STORAGE_READ_ONLY'],
      ['EACCES', 'write', status.FAILED_PRECONDITION, 'STORAGE_READ_ONLY'],
      ['EACCES', 'read', status.FAILED_PRECONDITION, 'STORAGE_UNREADABLE'],
      ['EMFILE', 'read', status.RESOURCE_EXHAUSTED, 'TOO_MANY_OPEN_FILES'],
      ['EIO', 'read', status.DATA_LOSS, 'DISK_FAILED'],
      ['ENOENT', 'write', status.FAILED_PRECONDITION, 'STORAGE_MISSING'],
    ] as const;
    for (const [systemCode, doing, code, reason] of cases) {
      const cause = Object.assign(new Error(`${systemCode}: open '/secret/path'`), {
        code: systemCode,
      });
      const error = translate(cause, doing, 'admin/x');
      assert.ok(error instanceof FractoryError);
      assert.is(error.code, code);
      assert.is(error.reason, reason);
      assert.not.match(error.message, 'secret');
    }
    const bug = new TypeError('x is not a function');
    assert.is(translate(bug, 'read', 'admin/x'), bug);
  });

  test('the text of metadata holds no path of this machine', async () => {
    await using fixture = await openStore();
    await fixture.store.write(CAT, [Buffer.from('x')]);
    const file = path.join(fixture.root, 'admin', '.fractory', 'meta', 'cat.txt.json');
    assert.not.match(await readFile(file, 'utf8'), fixture.root);
  });
});
