import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import path from 'node:path';

import { assert } from '../suite.js';
import type { ForeignClient, Json } from './foreign-client.js';
import { base64 } from './wire.js';
import type { Claims } from './wire.js';

interface StoredFile {
  readonly client: string;
  readonly name: string;
  readonly version: string;
  readonly sizeBytes: string;
  readonly sha256: string;
  readonly mediaType: string;
}

const timeoutMs = 60_000;
const client = 'foreign';

async function put(
  storage: ForeignClient,
  header: Json,
  ...chunks: readonly (Buffer | string)[]
): Promise<StoredFile> {
  const { file } = await storage.call<{ file: StoredFile }>(
    'StorageService/Put',
    { header: { client, ...header } },
    ...chunks.map((chunk) => ({ chunk: base64(chunk) })),
  );
  return file;
}

async function get(storage: ForeignClient, name: string): Promise<string> {
  const parts = await storage.stream<{ chunk?: string }>('StorageService/Get', { client, name });
  return Buffer.concat(parts.map(({ chunk }) => Buffer.from(chunk ?? '', 'base64'))).toString();
}

/** Turns one bit of a stored file behind the store's back. */
async function flipBit(file: string): Promise<void> {
  await using handle = await open(file, 'r+');
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, 3);
  byte[0] = (byte[0] ?? 0) ^ 1;
  await handle.write(byte, 0, 1, 3);
}

export const storageClaims: Claims = (test, wire) => {
  test(
    'puts, gets, describes, lists and deletes a file',
    async () => {
      const storage = await wire.at('storage');
      const text = 'a file of three chunks';
      const file = await put(
        storage,
        { name: 'note.txt' },
        text.slice(0, 3),
        text.slice(3, 9),
        text.slice(9),
      );
      assert.is(file.sizeBytes, String(text.length));
      assert.is(file.sha256, createHash('sha256').update(text).digest('hex'));
      assert.is(file.mediaType, 'text/plain');
      assert.is(await get(storage, 'note.txt'), text);
      const stat = await storage.call('StorageService/Stat', { client, name: 'note.txt' });
      assert.equal(stat['file'], file);
      await put(storage, { name: 'other.txt' });
      const all = await storage.call<{ files: StoredFile[] }>('StorageService/List', { client });
      assert.equal(
        all.files.map(({ name }) => name),
        ['note.txt', 'other.txt'],
      );
      const some = await storage.call<{ files: StoredFile[] }>('StorageService/List', {
        ...{ client, prefix: 'o' },
      });
      assert.equal(
        some.files.map(({ name }) => name),
        ['other.txt'],
      );
      assert.equal(await storage.call('StorageService/Delete', { client, name: 'other.txt' }), {});
      const gone = await storage.failure('StorageService/Get', { client, name: 'other.txt' });
      assert.is(gone.code, 'not_found');
    },
    { timeoutMs },
  );

  test(
    'is told of a file that is missing, in every method',
    async () => {
      const storage = await wire.at('storage');
      for (const method of ['Get', 'Stat', 'Delete']) {
        const error = await storage.failure(`StorageService/${method}`, { client, name: 'none' });
        assert.equal([error.code, error.reason], ['not_found', 'FILE_NOT_FOUND']);
        assert.match(error.message, /foreign\/none/);
      }
    },
    { timeoutMs },
  );

  test(
    'is told of names that may not be, and nothing outside the storage folder is touched',
    async () => {
      const storage = await wire.at('storage');
      for (const name of ['', '../secret', '.hidden', 'a/b', 'a b', 'x'.repeat(129), 'a\0b']) {
        const stat = await storage.failure('StorageService/Stat', { client, name });
        assert.equal([stat.code, stat.reason], ['invalid_argument', 'BAD_NAME'], name);
        const header = { client: name, name: 'file' };
        const write = await storage.failure('StorageService/Put', { header }, { chunk: 'aGk=' });
        assert.equal([write.code, write.reason], ['invalid_argument', 'BAD_NAME'], name);
      }
    },
    { timeoutMs },
  );

  test(
    'is told of a file that is too large, and the old content stays',
    async () => {
      const storage = await wire.at('storage');
      await put(storage, { name: 'full' }, 'old');
      const chunk = base64(Buffer.alloc(600 * 1024, 1));
      const header = { client, name: 'full' };
      const error = await storage.failure('StorageService/Put', { header }, { chunk }, { chunk });
      assert.equal([error.code, error.reason], ['resource_exhausted', 'FILE_TOO_LARGE']);
      assert.is(error.metadata['limit'], 'max_file_bytes');
      assert.is(error.metadata['allowed'], '1048576');
      assert.is(await get(storage, 'full'), 'old');
    },
    { timeoutMs },
  );

  test(
    'is told of an upload that is not what its hash says, or begins without a header',
    async () => {
      const storage = await wire.at('storage');
      const header = { client, name: 'hashed', sha256: '0'.repeat(64) };
      const wrong = await storage.failure('StorageService/Put', { header }, { chunk: 'aGk=' });
      assert.ok(['invalid_argument', 'data_loss'].includes(wrong.code), wrong.code);
      const headless = await storage.failure('StorageService/Put', { chunk: 'aGk=' });
      assert.equal([headless.code, headless.reason], ['invalid_argument', 'CHUNK_BEFORE_HEADER']);
      const stat = await storage.failure('StorageService/Stat', { client, name: 'hashed' });
      assert.is(stat.code, 'not_found');
    },
    { timeoutMs },
  );

  test(
    'gets data loss, never wrong data, when a bit was turned on disk; a new put mends it',
    async () => {
      const storage = await wire.at('storage');
      await put(storage, { name: 'fragile' }, 'precious bytes');
      await flipBit(path.join(await wire.statePath(), 'storage', client, 'fragile'));
      const error = await storage.failure('StorageService/Get', { client, name: 'fragile' });
      assert.equal([error.code, error.reason], ['data_loss', 'DATA_LOSS']);
      await put(storage, { name: 'fragile' }, 'mended');
      assert.is(await get(storage, 'fragile'), 'mended');
    },
    { timeoutMs },
  );

  test(
    'writes and deletes on condition of a version; a conflict is told with the version that is',
    async () => {
      const storage = await wire.at('storage');
      const name = 'counter';
      const first = await put(storage, { name, ifVersion: '0' }, 'one');
      const second = await put(storage, { name, ifVersion: first.version }, 'two');
      assert.ok(BigInt(second.version) > BigInt(first.version));
      for (const ifVersion of ['0', first.version]) {
        const late = await storage.failure(
          ...([
            'StorageService/Put',
            { header: { client, name, ifVersion } },
            { chunk: 'aGk=' },
          ] as const),
        );
        assert.equal([late.code, late.reason], ['aborted', 'VERSION_MISMATCH']);
        assert.is(late.metadata['version'], second.version);
      }
      const stale = { client, name, ifVersion: first.version };
      assert.is((await storage.failure('StorageService/Delete', stale)).reason, 'VERSION_MISMATCH');
      assert.is(await get(storage, name), 'two');
      await storage.call('StorageService/Delete', { client, name, ifVersion: second.version });
    },
    { timeoutMs },
  );

  test(
    'is sent from the follower to the leader, by its address',
    async () => {
      const leader = await wire.member('storage');
      const follower = await wire.follower();
      for (const method of ['Stat', 'Get', 'Delete']) {
        const error = await follower.failure(`StorageService/${method}`, {
          client,
          name: 'note.txt',
        });
        assert.equal([error.code, error.reason], ['failed_precondition', 'NOT_LEADER']);
        assert.is(error.metadata['leader'], leader.id);
        assert.is(error.metadata['address'], leader.address);
        assert.is(error.metadata['epoch'], leader.epoch);
      }
    },
    { timeoutMs },
  );
};
