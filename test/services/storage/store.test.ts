import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, openStore, readText } from './fixture.js';
import { storeContract } from './store-contract.js';

const text = (content: string): Buffer[] => [Buffer.from(content)];
const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');

storeContract('file store', openStore);

suite('file store in a folder', (test) => {
  test('a written file is read back and stands as a plain file in the folder', async () => {
    await using fixture = await openStore();
    const { store } = fixture;
    const file = await store.write(CAT, text('miaow'));
    assert.is(file.version, 1n);
    assert.is(file.sizeBytes, 5);
    assert.is(file.sha256, sha256('miaow'));
    assert.is(file.mediaType, 'text/plain');
    assert.is(await readText(store, CAT), 'miaow');
    assert.is(await readFile(fixture.pathOf(CAT), 'utf8'), 'miaow');
    assert.equal(await store.stat(CAT), file);
  });

  test('a file that was copied into the folder is served, and a change of it is a new version', async () => {
    await using fixture = await openStore();
    const { store } = fixture;
    await mkdir(path.join(fixture.root, 'bob'));
    const ref = { client: 'bob', name: 'hello.txt' };
    await writeFile(fixture.pathOf(ref), 'hello');
    const found = await store.stat(ref);
    assert.is(found.version, 1n);
    assert.is(found.sha256, sha256('hello'));
    await rejects(store.write(ref, text('x'), { ifVersion: 0n }), FractoryError, {
      reason: 'VERSION_MISMATCH',
    });
    await writeFile(fixture.pathOf(ref), 'hello again');
    assert.is(await readText(store, ref), 'hello again');
    assert.is((await store.stat(ref)).version, 2n);
    assert.is((await store.write(ref, text('mine'))).version, 3n);
  });
});
