import { createHash, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { BufferContent } from '../../../controllers/kernel/memory/buffer-content.js';
import type { BlockServiceAllocateResponse } from '../../../protos/gen/fractory/v1/block.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { bytesValue, integerValue, textValue, toPlain } from '../../../protos/values.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { callBlock, layered } from './layered-nodes.js';
import type { Context, Layered } from './layered-nodes.js';

const WHERE = { client: textValue('admin'), name: textValue('cat.bin') };
const MIB = 1024 ** 2;

const bytes = (data: Uint8Array): Value => bytesValue('application/octet-stream', data);
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** A memory that the other node keeps, as an argument. */
function kept(other: Context, data: Uint8Array): Value {
  const hash = createHash('sha256').update(data).digest();
  const content = new BufferContent(data, { sha256: hash });
  const options = { client: 'test', leaseMs: 60_000 };
  const { memory } = other.kernel.memory.keep(content, bytes(new Uint8Array()), options);
  return { kind: { $case: 'memory', value: memory } };
}

async function isFree(world: Layered): Promise<void> {
  while ((await world.usage()).allocatedBytes > 0n)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

suite('storage over a block device', (test) => {
  test('a read answers with a memory of the block node, which knows its hash and lasts as long as the run', async () => {
    await using world = await layered();
    const data = randomBytes(100_000);
    const written = toPlain(await world.perform('write', { ...WHERE, input: bytes(data) }));
    assert.equal(written, {
      ...{ client: 'admin', name: 'cat.bin', version: 1, sizeBytes: 100_000 },
      sha256: sha256(data),
    });
    const memory = await world.read(WHERE, { budgetMs: 400 });
    assert.is(memory.capability?.owner, 'block-1');
    assert.is(memory.sizeBytes, 100_000n);
    assert.is(Buffer.from(memory.sha256).toString('hex'), sha256(data));
    assert.equal(memory.form, bytes(new Uint8Array()));
    assert.ok((await world.bytesOf(memory)).equals(data));
    const place = path.join(world.folder, 'admin', 'cat.bin');
    assert.match(await readFile(place, 'utf8'), '100000 bytes in 1 extents of block-1');
    assert.is((await world.usage()).allocatedBytes, 102_400n);
    await rejects(
      world.other.kernel.memory.write(memory.capability!, 0, [data], new AbortController().signal),
      FractoryError,
      { code: status.PERMISSION_DENIED },
    );
    await new Promise((resolve) => setTimeout(resolve, 450));
    await rejects(world.bytesOf(memory), FractoryError, { reason: 'CAPABILITY_EXPIRED' });
  });

  test('a memory is copied by the block node from its producer: no byte of it passes the storage node', async () => {
    await using world = await layered();
    const data = randomBytes(3 * MIB + 5);
    const stream = (): never => {
      throw new Error('the content passes the storage node');
    };
    const input = kept(world.other, data);
    const result = toPlain(await world.perform('write', { ...WHERE, input }, { stream }));
    assert.is((result as { sha256: string }).sha256, sha256(data));
    assert.ok((await world.bytesOf(await world.read(WHERE))).equals(data));
    assert.is((await world.usage()).extents, 1);
  });

  test('a long copy lies in several extents and is whole', async () => {
    await using world = await layered({}, { capacity_bytes: '128 MiB' });
    const data = randomBytes(65 * MIB + 3);
    await world.perform('write', { ...WHERE, input: kept(world.other, data) });
    assert.is((await world.usage()).extents, 2);
    assert.is(sha256(await world.bytesOf(await world.read(WHERE))), sha256(data));
  });

  test('a copy that is not what its producer said is refused, and one that has no type is looked at', async () => {
    await using world = await layered();
    const png = Buffer.concat([Buffer.from('\x89PNG\r\n', 'latin1'), Buffer.alloc(100_000)]);
    const name = textValue('picture');
    await world.perform('write', { ...WHERE, name, input: kept(world.other, png) });
    const { form } = await world.read({ ...WHERE, name });
    assert.is(form?.kind?.$case === 'bytes' && form.kind.value.mediaType, 'image/png');
    const input = kept(world.other, png);
    assert.ok(input.kind?.$case === 'memory');
    input.kind.value.sha256 = new Uint8Array(32);
    await rejects(world.perform('write', { ...WHERE, input }), FractoryError, {
      reason: 'CONTENT_DAMAGED',
    });
    assert.is((await world.usage()).extents, 1);
  });

  test('a stream of unknown length is written in growing pieces and is whole', async () => {
    await using world = await layered();
    const data = randomBytes(7 * MIB + 1234);
    async function* stream() {
      for (let at = 0; at < data.length; at += 77_777)
        yield await Promise.resolve(data.subarray(at, at + 77_777));
    }
    await world.perform('write', { ...WHERE, input: bytes(new Uint8Array()) }, { stream });
    assert.ok((await world.bytesOf(await world.read(WHERE))).equals(data));
    const { allocatedBytes, extents } = await world.usage();
    assert.ok(allocatedBytes < data.length * 1.25, String(allocatedBytes));
    assert.ok(extents < 9, String(extents));
  });

  test('an empty file needs no extent', async () => {
    await using world = await layered();
    await world.perform('write', { ...WHERE, input: bytes(new Uint8Array()) });
    assert.equal(await world.perform('read', WHERE), bytes(Buffer.alloc(0)));
    assert.is((await world.usage()).extents, 0);
  });

  test('what has to be interpreted, and what is asked for by proxy, comes through the storage node', async () => {
    await using world = await layered();
    await world.perform('write', { ...WHERE, input: textValue(' 12\n') });
    const as = (form: string): Promise<Value> =>
      world.perform('read', { ...WHERE, as: textValue(form) });
    assert.equal(await as('integer'), integerValue(12n));
    assert.equal(await as('text'), textValue(' 12\n'));
    const proxied = await world.perform('read', { ...WHERE, proxy: integerValue(1n) });
    assert.equal(proxied, bytesValue('text/plain', Buffer.from(' 12\n')));
  });

  test('a write that fails leaves no extent, whenever it fails', async () => {
    await using world = await layered({ max_file_bytes: '3 MiB' });
    const data = randomBytes(2 * MIB);
    const input = bytes(new Uint8Array());
    async function* broken() {
      yield await Promise.resolve(data);
      throw new FractoryError(status.CANCELLED, 'CANCELLED', 'the caller went away');
    }
    const cancelled = { code: status.CANCELLED } as const;
    await rejects(
      world.perform('write', { ...WHERE, input }, { stream: broken }),
      FractoryError,
      cancelled,
    );
    async function* endless() {
      for (;;) yield await Promise.resolve(data);
    }
    await rejects(world.perform('write', { ...WHERE, input }, { stream: endless }), FractoryError, {
      reason: 'FILE_TOO_LARGE',
    });
    const tooLarge = kept(world.other, Buffer.alloc(3 * MIB + 1));
    await rejects(world.perform('write', { ...WHERE, input: tooLarge }), FractoryError, {
      reason: 'FILE_TOO_LARGE',
    });
    const gone = kept(world.other, data);
    assert.ok(gone.kind?.$case === 'memory');
    const { capability } = gone.kind.value;
    gone.kind.value.capability = { ...capability!, tag: randomBytes(32) };
    await rejects(world.perform('write', { ...WHERE, input: gone }), FractoryError, {
      reason: 'CAPABILITY_FORGED',
    });
    const mismatch = { ...WHERE, input: bytes(data), if_version: integerValue(5n) };
    const step = { run: 'r', step: 's' };
    await rejects(world.perform('write', mismatch, { step }), FractoryError, {
      reason: 'VERSION_MISMATCH',
    });
    await isFree(world);
    assert.is((await world.usage()).extents, 0);
  });

  test('a step that is done again has one version and one content', async () => {
    await using world = await layered();
    const step = { run: 'r', step: 's' };
    const input = bytes(randomBytes(5000));
    const first = await world.perform('write', { ...WHERE, input }, { step });
    assert.equal(await world.perform('write', { ...WHERE, input }, { step }), first);
    while ((await world.usage()).extents > 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    assert.ok((await world.bytesOf(await world.read(WHERE))).length === 5000);
  });

  test('a replaced content stays for those who were given it until their time is over', async () => {
    await using world = await layered();
    const old = randomBytes(70_000);
    await world.perform('write', { ...WHERE, input: bytes(old) });
    const memory = await world.read(WHERE, { budgetMs: 600 });
    await world.perform('write', { ...WHERE, input: bytes(Buffer.from('new')) });
    assert.ok((await world.bytesOf(memory)).equals(old));
    assert.is((await world.usage()).extents, 2);
    assert.is((await world.bytesOf(await world.read(WHERE))).toString(), 'new');
    while ((await world.usage()).extents > 1)
      await new Promise((resolve) => setTimeout(resolve, 20));
    const over = await rejects(world.bytesOf(memory), FractoryError);
    assert.ok(['CAPABILITY_EXPIRED', 'CAPABILITY_REVOKED'].includes(over.reason), over.reason);
  });

  test('a deleted content is freed at once where nothing may linger, and a read under way is cut', async () => {
    await using world = await layered({ block_linger_ms: '0' }, { capacity_bytes: '128 MiB' });
    // More than streams hold on the way: each of them up to 16 chunks of 512 KiB.
    const data = randomBytes(48 * MIB);
    await world.perform('write', { ...WHERE, input: kept(world.other, data) });
    const memory = await world.read(WHERE, { budgetMs: 60_000 });
    const { signal } = new AbortController();
    const chunks = world.other.kernel.memory.stream(memory, signal)[Symbol.asyncIterator]();
    const first = await chunks.next();
    assert.ok(!first.done);
    await world.perform('delete', WHERE);
    await isFree(world);
    const rest = async (): Promise<void> => {
      for (;;) if ((await chunks.next()).done) return;
    };
    await rejects(rest(), FractoryError, { reason: 'CAPABILITY_REVOKED' });
    await rejects(world.bytesOf(memory), FractoryError, { reason: 'CAPABILITY_REVOKED' });
  });

  test('a block node that is gone is told clearly; when it is back reads go on', async () => {
    await using world = await layered();
    const data = randomBytes(70_000);
    await world.perform('write', { ...WHERE, input: bytes(data) });
    const before = await world.read(WHERE);
    await world.nodes.stop('block-1');
    const gone = { code: status.UNAVAILABLE, reason: 'OWNER_LOST' } as const;
    const error = await rejects(world.perform('read', WHERE), FractoryError, gone);
    assert.is(
      error.message,
      'block device block-1 can not be reached: it is not registered; ./datacenter node block --name block-1 starts it',
    );
    const input = bytes(data);
    const refused = await rejects(world.perform('write', { ...WHERE, input }), FractoryError, gone);
    assert.is(refused.message, error.message);
    await world.nodes.block('block-1', { capacity_bytes: '16 MiB' });
    const epochOf = (context: Context): bigint | undefined =>
      context.kernel.members().find(({ id }) => id === 'block-1')?.epoch;
    while (!epochOf(world.host) || !epochOf(world.other))
      await new Promise((resolve) => setTimeout(resolve, 10));
    await rejects(world.bytesOf(before), FractoryError, { reason: 'STALE_OWNER' });
    assert.ok((await world.bytesOf(await world.read(WHERE))).equals(data));
    const proxied = await world.perform('read', { ...WHERE, proxy: integerValue(1n) });
    assert.equal(proxied, bytes(data));
  });

  test('a full device says so, after it has taken what only lingered', async () => {
    await using world = await layered();
    const write = (size: number, name: string): Promise<Value> =>
      world.perform('write', { ...WHERE, name: textValue(name), input: bytes(Buffer.alloc(size)) });
    await write(9 * MIB, 'a');
    const memory = await world.read({ ...WHERE, name: textValue('a') });
    await write(1, 'a');
    assert.is((await world.usage()).extents, 2);
    await write(9 * MIB, 'b');
    await rejects(world.bytesOf(memory), FractoryError, { reason: 'CAPABILITY_REVOKED' });
    const full = { code: status.RESOURCE_EXHAUSTED, reason: 'DEVICE_FULL' } as const;
    const told = await rejects(write(9 * MIB, 'c'), FractoryError, full);
    assert.match(
      told.message,
      /^block-1 is full: admin\/c \(\d+ bytes so far\) asked for \d+ bytes more, \d+ are free; delete files of storage or raise capacity_bytes$/,
    );
    const name = textValue('d');
    const input = kept(world.other, Buffer.alloc(9 * MIB));
    const copy = await rejects(
      world.perform('write', { ...WHERE, name, input }),
      FractoryError,
      full,
    );
    assert.match(
      copy.message,
      'block-1 is full: admin/d (9437184 bytes) asked for 9437184 bytes more',
    );
    assert.is((await world.usage()).extents, 2);
  });

  test('extents that a dead storage member left are freed at the next start, those in use stay', async () => {
    await using world = await layered();
    await world.perform('write', { ...WHERE, input: bytes(Buffer.alloc(5000)) });
    const id = (await readFile(path.join(world.folder, '.fractory', 'id'), 'utf8')).trim();
    const allocate = (label: string): Promise<BlockServiceAllocateResponse> =>
      callBlock(world.host, (client, done) => client.allocate({ sizeBytes: 1n, label }, done));
    const { pid } = process;
    const list = await callBlock<{ extents: { label: string }[] }>(world.host, (client, done) =>
      client.list({ labelPrefix: `storage-${id}~`, pageToken: '' }, done as never),
    );
    const [label = ''] = list.extents.map((one) => one.label);
    const dead = label.replace(`-${String(pid)}-`, '-1-');
    assert.not.equal(dead, label);
    await allocate(dead);
    await allocate(label);
    await allocate('of somebody else');
    assert.is((await world.usage()).extents, 4);
    await world.another();
    while ((await world.usage()).extents > 3)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.is((await world.bytesOf(await world.read(WHERE))).length, 5000);
  });

  test('files of the folder and of the device stand side by side', async () => {
    await using world = await layered();
    const files = await world.another({ backend: 'files' });
    const name = textValue('plain.txt');
    const input = textValue('in the folder');
    await world.perform('write', { ...WHERE, name, input }, { device: files });
    await writeFile(path.join(world.folder, 'admin', 'found.txt'), 'by hand');
    assert.equal(
      await world.perform('read', { ...WHERE, name }),
      bytesValue('text/plain', Buffer.from('in the folder')),
    );
    assert.equal(
      await world.perform('read', { ...WHERE, name: textValue('found.txt') }),
      bytesValue('text/plain', Buffer.from('by hand')),
    );
    await world.perform('write', { ...WHERE, input: textValue('on the device') });
    const memory = await world.read(WHERE, { device: files });
    assert.is((await world.bytesOf(memory)).toString(), 'on the device');
  });
});
