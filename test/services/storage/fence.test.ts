import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import { DEFAULT_STORAGE_LIMITS } from '../../../services/storage/limits.js';
import { FileStore } from '../../../services/storage/store.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, openStore, readText } from './fixture.js';
import type { Fixture } from './fixture.js';

const DOG = { client: 'admin', name: 'dog.txt' };
const FENCED = { code: status.FAILED_PRECONDITION, reason: 'FENCED' } as const;

function leader({ root }: Fixture, epoch: () => bigint, heard: bigint[] = []): Promise<FileStore> {
  return FileStore.open(root, DEFAULT_STORAGE_LIMITS, {
    epoch,
    onFenced: (by) => heard.push(by),
  });
}

suite('fencing', (test) => {
  test('of two that believe they lead, the older is refused once the later has written any file', async () => {
    await using fixture = await openStore();
    const heard: bigint[] = [];
    const older = await leader(fixture, () => 5n, heard);
    const later = await leader(fixture, () => 7n);
    await older.write(CAT, [Buffer.from('old')]);
    await later.write(DOG, [Buffer.from('new')]);
    await rejects(older.write(CAT, [Buffer.from('too late')]), FractoryError, FENCED);
    await rejects(older.delete(CAT), FractoryError, FENCED);
    assert.is(await readText(fixture.store, CAT), 'old');
    assert.equal(heard, [7n, 7n]);
    await later.write(CAT, [Buffer.from('new')]);
    assert.is((await later.delete(DOG)) > 0n, true);
  });

  test('the refusal names both epochs', async () => {
    await using fixture = await openStore();
    await (await leader(fixture, () => 7n)).write(CAT, []);
    const refused = await (await leader(fixture, () => 5n)).write(CAT, []).catch((e: unknown) => e);
    assert.ok(refused instanceof FractoryError);
    assert.match(refused.message, /epoch 5 .*epoch 7/);
    assert.equal(refused.metadata, { epoch: '5', fence: '7' });
  });

  test('a leader that begins fences the one before without writing anything', async () => {
    await using fixture = await openStore();
    const older = await leader(fixture, () => 5n);
    await older.write(CAT, []);
    await (await leader(fixture, () => 7n)).raiseFence(7n);
    await rejects(older.write(CAT, []), FractoryError, FENCED);
  });

  test('the epoch that counts is that of the beginning of a write', async () => {
    await using fixture = await openStore();
    let epoch = 5n;
    const older = await leader(fixture, () => epoch);
    const later = await leader(fixture, () => 7n);
    async function* content(): AsyncGenerator<Uint8Array, void> {
      yield Buffer.from('begun in epoch 5');
      await later.raiseFence(7n);
      epoch = 9n;
    }
    await rejects(older.write(CAT, content()), FractoryError, FENCED);
    await older.write(CAT, [Buffer.from('begun in epoch 9')]);
  });

  test('a leader that leaves in good order finishes what it has begun, until its time is over', async () => {
    await using fixture = await openStore();
    const older = await leader(fixture, () => 5n);
    const later = await leader(fixture, () => 7n);
    async function* content(untilMs: number): AsyncGenerator<Uint8Array, void> {
      yield Buffer.from('begun before');
      await older.leave(5n, untilMs);
      await later.write(CAT, [Buffer.from('new')]);
    }
    const late = older.write(DOG, content(Date.now() - 1));
    await rejects(late, FractoryError, FENCED);
    await older.write(DOG, content(Date.now() + 60_000));
    assert.is(await readText(fixture.store, DOG), 'begun before');
    await later.write(CAT, [Buffer.from('goes on')]);
  });

  test('who raises at the same time leaves one fence, the highest', async () => {
    await using fixture = await openStore();
    const epochs = Array.from({ length: 20 }, (_, index) => BigInt(index + 1));
    const stores = await Promise.all(epochs.map((epoch) => leader(fixture, () => epoch)));
    await Promise.allSettled(stores.map((store, index) => store.raiseFence(epochs[index] ?? 0n)));
    const names = await readdir(path.join(fixture.root, '.fractory', 'fence'));
    assert.equal(names, ['20'.padStart(20, '0')]);
  });

  test('a process that was frozen between the last byte and the commit is refused when it wakes up', async () => {
    await using fixture = await openStore();
    const file = path.join(path.dirname(fileURLToPath(import.meta.url)), 'fenced-writer.js');
    const old = spawn(process.execPath, [file, fixture.root, '5'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = createInterface(old.stdout)[Symbol.asyncIterator]();
    const ended = once(old, 'close');
    assert.is((await lines.next()).value, 'frozen');
    const later = await leader(fixture, () => 7n);
    const { version } = await later.write(CAT, [Buffer.from('by the new leader')]);
    old.kill('SIGCONT');
    assert.is((await lines.next()).value, 'FENCED');
    await ended;
    assert.is(await readText(fixture.store, CAT), 'by the new leader');
    assert.is((await fixture.store.stat(CAT)).version, version);
  });
});
