import { readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { FractoryError } from '../../../runtime/errors.js';
import { stubOf } from '../../../services/storage/depot.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { decode, encode } from '../../../services/storage/metadata.js';
import { Owner } from '../../../services/storage/owner.js';
import { FileStore } from '../../../services/storage/store.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, openStore, readText } from './fixture.js';
import type { Fixture } from './fixture.js';
import { MemoryDepot } from './memory-depot.js';
import { storeContract } from './store-contract.js';

const text = (content: string): Buffer[] => [Buffer.from(content)];
const { signal } = new AbortController();

storeContract(
  'file store over a depot',
  (limits) => openStore(limits, { depot: new MemoryDepot() }),
  { keepsContentInMemory: true },
);

async function layered(): Promise<Fixture & { readonly depot: MemoryDepot }> {
  const depot = new MemoryDepot();
  return { ...(await openStore({}, { depot })), depot };
}

const bytesHeld = (depot: MemoryDepot): string[] =>
  [...depot.held.values()].map(({ bytes }) => bytes.toString()).sort();

suite('content in a depot', (test) => {
  test('the folder has the name, what is known, and a line that says where the content lies', async () => {
    await using fixture = await layered();
    const { store, depot } = fixture;
    const file = await store.write(CAT, text('miaow'));
    assert.equal(bytesHeld(depot), ['miaow']);
    const stub = await readFile(fixture.pathOf(CAT), 'utf8');
    assert.is(stub, `fractory: 5 bytes in 1 extents of heap, SHA-256 ${file.sha256}\n`);
    assert.is(file.sizeBytes, 5);
    assert.is((await store.share(CAT, Date.now() + 1000)).kind, 'memory');
    assert.is(depot.shared.length, 1);
    assert.is(store.kept, 0);
  });

  test('content that no file has any more is released: replaced, deleted, removed by hand, repeated', async () => {
    await using fixture = await layered();
    const { store, depot } = fixture;
    await store.write(CAT, text('a'));
    await store.write(CAT, text('b'));
    assert.equal(bytesHeld(depot), ['b']);
    const step = { run: 'r', step: 's' };
    const first = await store.write(CAT, text('c'), { step });
    assert.equal(await store.write(CAT, text('c'), { step }), first);
    assert.equal(bytesHeld(depot), ['c']);
    await store.delete(CAT);
    assert.equal(bytesHeld(depot), []);
    await store.write(CAT, text('d'));
    await rm(fixture.pathOf(CAT));
    await rejects(store.stat(CAT), FractoryError, { reason: 'FILE_NOT_FOUND' });
    assert.equal(bytesHeld(depot), []);
  });

  test('a write that fails leaves no content', async () => {
    await using fixture = await layered();
    const { store, depot } = fixture;
    await store.write(CAT, text('old'));
    const sha256 = '0'.repeat(64);
    await rejects(store.write(CAT, text('new'), { sha256 }), FractoryError);
    const step = { run: 'r', step: 's' };
    await rejects(store.write(CAT, text('new'), { ifVersion: 7n, step }), FractoryError);
    await rm(path.join(fixture.root, 'admin', '.fractory', 'meta'), { recursive: true });
    await writeFile(path.join(fixture.root, 'admin', '.fractory', 'meta'), '');
    await rejects(store.write(CAT, text('new')), Error);
    assert.equal(bytesHeld(depot), ['old']);
  });

  test('content that was freed under a file is DATA_LOSS', async () => {
    await using fixture = await layered();
    const { store, depot } = fixture;
    await store.write(CAT, text('x'));
    depot.held.clear();
    await rejects(readText(store, CAT), FractoryError, { reason: 'DATA_LOSS' });
    await rejects(store.share(CAT, 0), FractoryError, { reason: 'DATA_LOSS' });
    assert.is(store.kept, 0);
  });

  test('another content in the place of a line that says where it lies is DATA_LOSS', async () => {
    await using fixture = await layered();
    const { store } = fixture;
    const { sizeBytes, sha256 } = await store.write(CAT, text('x'));
    const stub = stubOf({ placement: { device: 'heap', extents: ['e'] }, sizeBytes, sha256 });
    for (const other of ['by hand', stub.replace('heap', 'hoop')]) {
      await writeFile(fixture.pathOf(CAT), other);
      await rejects(readText(store, CAT), FractoryError, { reason: 'DATA_LOSS' });
    }
    await writeFile(fixture.pathOf(CAT), stub);
    assert.is(await readText(store, CAT), 'x');
  });

  test('files that were written before are served from the folder, and depot content by those who write files', async () => {
    await using fixture = await layered();
    const { root, depot } = fixture;
    const files = await FileStore.open(root, DEFAULT_STORAGE_LIMITS, {
      depot,
      writesToDepot: false,
    });
    await files.write(CAT, text('in the folder'));
    assert.is(await readText(fixture.store, CAT), 'in the folder');
    const other = { client: 'admin', name: 'other' };
    await fixture.store.write(other, text('in the depot'));
    assert.is(await readText(files, other), 'in the depot');
    await files.write(other, text('in the folder now'));
    assert.equal(bytesHeld(depot), []);
    const alone = await FileStore.open(root, DEFAULT_STORAGE_LIMITS);
    await fixture.store.write(CAT, text('in the depot'));
    await rejects(readText(alone, CAT), FractoryError, { reason: 'NO_DEPOT' });
  });

  for (const renamed of [true, false])
    test(`of a write that stopped ${renamed ? 'after' : 'before'} its rename the ${renamed ? 'old' : 'new'} content is released`, async () => {
      await using fixture = await layered();
      const { store, depot } = fixture;
      await store.write(CAT, text('old'));
      await store.write({ client: 'admin', name: 'spare' }, text('new'));
      await leaveHalfDone(fixture, renamed);
      assert.is(await readText(store, CAT), renamed ? 'new' : 'old');
      const other = await fixture.another();
      assert.is(await other.freeOrphans(signal), 0);
      assert.is(await readText(store, CAT), renamed ? 'new' : 'old');
      assert.equal(bytesHeld(depot), renamed ? ['new'] : ['old']);
    });

  test('extents of dead processes that no file has are freed; those of others never are', async () => {
    await using fixture = await layered();
    const { store, depot, root } = fixture;
    await store.write(CAT, text('in use'));
    const [label] = [...depot.held.values()].map((one) => one.label);
    const [prefix = '', owner = ''] = label!.split('~');
    const dead = owner.replace(/-\d+-(\d+)$/, '-1-$1');
    const hold = (id: string, kind: string, who: string): unknown =>
      depot.held.set(id, { label: `${kind}~${who}~0~x`, bytes: Buffer.from(id) });
    hold('orphan', prefix, dead);
    hold('being written', prefix, owner);
    hold('of another machine', prefix, owner.replace(/^\w+/, '00000000'));
    hold('of another store', `${prefix}1`, dead);
    // The file's own content was made by a process that is dead now.
    const [id] = [...depot.held.keys()];
    depot.held.set(id!, { label: `${prefix}~${dead}~0~x`, bytes: Buffer.from('in use') });
    assert.is(await store.freeOrphans(signal), 1);
    assert.equal(bytesHeld(depot), [
      ...['being written', 'in use', 'of another machine', 'of another store'],
    ]);
    // Where it is not known what a file has, nothing is freed.
    hold('orphan', prefix, dead);
    await writeFile(path.join(root, 'admin', '.fractory', 'meta', 'x.json'), 'damaged');
    await rejects(store.freeOrphans(signal), FractoryError, { reason: 'DATA_LOSS' });
    assert.ok(depot.held.has('orphan'));
  });

  test('stores of one folder label their extents alike, those of another differently', async () => {
    await using fixture = await layered();
    const { store, depot } = fixture;
    const other = await fixture.another();
    await Promise.all([store.write(CAT, text('a')), other.write({ ...CAT, name: 'b' }, text('b'))]);
    await using elsewhere = await openStore({}, { depot });
    await elsewhere.store.write(CAT, text('c'));
    const prefixes = [...depot.held.values()].map(({ label }) => label.split('~')[0]);
    assert.is(new Set(prefixes).size, 2);
    for (const prefix of prefixes) assert.match(prefix!, /^storage-[0-9a-f]{32}$/);
    assert.equal(await readdir(path.join(fixture.root, '.fractory')), ['id']);
  });
});

/** Puts CAT's next version, with the content of `spare`, into the state just before or just after its rename. */
async function leaveHalfDone({ root }: Fixture, renamed: boolean): Promise<void> {
  const folder = path.join(root, 'admin');
  const fileOf = (name: string): string => path.join(folder, '.fractory', 'meta', `${name}.json`);
  const known = decode(CAT, await readFile(fileOf('cat.txt'), 'utf8'));
  const spare = decode(CAT, await readFile(fileOf('spare'), 'utf8'));
  await rm(fileOf('spare'));
  const owner = (await Owner.ofThisProcess()).text.replace(/^(\w+)-\w+-/, '$1-other-');
  const staged = `put~${owner}~0~cat.txt`;
  const temporary = path.join(folder, '.fractory', 'tmp', staged);
  await rename(path.join(folder, 'spare'), temporary);
  const inode = String((await stat(temporary, { bigint: true })).ino);
  const file = { ...spare.file!, version: 2n, inode };
  await writeFile(
    fileOf('cat.txt'),
    encode({ ...known, lastVersion: 2n, pending: { file, staged } }),
  );
  if (renamed) await rename(temporary, path.join(folder, 'cat.txt'));
}
