import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { makeFolder } from '../../runtime/made-folder.js';
import { assert, suite } from '../suite.js';

async function scratch(): Promise<{ readonly path: string } & AsyncDisposable> {
  const folder = await mkdtemp(path.join(tmpdir(), 'fractory-made-'));
  return {
    path: folder,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

const codeOf = (folder: string): Promise<string | undefined> =>
  makeFolder(folder).then(() => undefined, systemCodeOf);

suite('a folder that is made', (test) => {
  test('has those above it made too, by several at the same time, and may be there already', async () => {
    await using folder = await scratch();
    const deep = path.join(folder.path, 'a', 'b', 'c');
    await Promise.all([makeFolder(deep), makeFolder(deep), makeFolder(path.dirname(deep))]);
    await makeFolder(deep);
    assert.ok((await stat(deep)).isDirectory());
  });

  test('is refused where a file is in its place, or above it', async () => {
    await using folder = await scratch();
    const file = path.join(folder.path, 'file');
    await writeFile(file, '');
    assert.is(await codeOf(file), 'EEXIST');
    assert.is(await codeOf(path.join(file, 'a', 'b')), 'ENOTDIR');
  });

  test(
    'is refused, and not tried for ever, where the file system has none to make',
    async () => {
      for (const folder of ['/proc/fractory', '/proc/fractory/a/b'])
        assert.is(await codeOf(folder), 'ENOENT', folder);
    },
    { skip: process.platform !== 'linux' && 'only Linux has /proc' },
  );
});
