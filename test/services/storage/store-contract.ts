import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { createHash } from 'node:crypto';
import { mkdir, symlink, unlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';
import fc from 'fast-check';

import { FractoryError } from '../../../runtime/errors.js';
import type { StorageLimits } from '../../../services/storage/limits.js';
import { assert, rejects, suite } from '../../suite.js';
import { CAT, readText } from './fixture.js';
import type { Fixture } from './fixture.js';

const text = (content: string): Buffer[] => [Buffer.from(content)];
const sha256 = (content: string): string => createHash('sha256').update(content).digest('hex');

/** What every file store does, wherever its content lies. */
export function storeContract(
  subject: string,
  openStore: (limits?: Partial<StorageLimits>) => Promise<Fixture>,
  { keepsContentInMemory = false } = {},
): void {
  suite(subject, (test) => {
    test('a file of 0 bytes is fine', async () => {
      await using fixture = await openStore();
      const file = await fixture.store.write(CAT, []);
      assert.is(file.sizeBytes, 0);
      assert.is(await readText(fixture.store, CAT), '');
    });

    test('versions only grow, also after a delete', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      await store.write(CAT, text('a'));
      await store.write(CAT, text('b'));
      assert.is(await store.delete(CAT), 2n);
      await rejects(store.stat(CAT), FractoryError, {
        code: status.NOT_FOUND,
        reason: 'FILE_NOT_FOUND',
      });
      assert.is((await store.write(CAT, text('c'))).version, 3n);
    });

    test('a missing file can be neither read nor deleted', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      const missing = { reason: 'FILE_NOT_FOUND' };
      await rejects(store.open(CAT), FractoryError, missing);
      await rejects(store.delete(CAT), FractoryError, missing);
      await store.write({ client: 'admin', name: 'other' }, text('x'));
      await rejects(store.open(CAT), FractoryError, missing);
      await rejects(store.delete(CAT), FractoryError, missing);
    });

    test('a conditional write or delete needs the version it names', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      const mismatch = { code: status.ABORTED, reason: 'VERSION_MISMATCH' } as const;
      await rejects(store.write(CAT, text('x'), { ifVersion: 1n }), FractoryError, mismatch);
      assert.is((await store.write(CAT, text('a'), { ifVersion: 0n })).version, 1n);
      await rejects(store.write(CAT, text('x'), { ifVersion: 0n }), FractoryError, mismatch);
      assert.is((await store.write(CAT, text('b'), { ifVersion: 1n })).version, 2n);
      await rejects(store.delete(CAT, { ifVersion: 1n }), FractoryError, mismatch);
      assert.is(await readText(store, CAT), 'b');
      await store.delete(CAT, { ifVersion: 2n });
      assert.is((await store.write(CAT, text('c'), { ifVersion: 0n })).version, 3n);
    });

    test('a repeat by the same step with the same content is not a new version', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      const step = { run: 'r1', step: 's1' };
      const first = await store.write(CAT, text('a'), { step, ifVersion: 0n });
      assert.equal(await store.write(CAT, text('a'), { step, ifVersion: 0n }), first);
      const other = await fixture.another();
      assert.equal(await other.write(CAT, text('a'), { step }), first);
      assert.is((await store.write(CAT, text('b'), { step })).version, 2n);
      assert.is((await store.write(CAT, text('b'), { step: { ...step, run: 'r2' } })).version, 3n);
      assert.equal(await store.write(CAT, text('a'), { step }), first);
      const deletion = { run: 'r3', step: 'd' };
      await store.delete(CAT, { step: deletion });
      await store.delete(CAT, { step: deletion });
    });

    test('an upload whose hash is not the announced one leaves the old content', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      await store.write(CAT, text('old'), { sha256: sha256('old').toUpperCase() });
      await rejects(store.write(CAT, text('new'), { sha256: sha256('nex') }), FractoryError, {
        code: status.INVALID_ARGUMENT,
        reason: 'HASH_MISMATCH',
      });
      await rejects(store.write(CAT, text('new'), { sha256: 'abc' }), FractoryError, {
        reason: 'BAD_HASH',
      });
      assert.is(await readText(store, CAT), 'old');
    });

    test('a file past the limit is refused by name of the limit and leaves the old content', async () => {
      await using fixture = await openStore({ max_file_bytes: 10 });
      const { store } = fixture;
      await store.write(CAT, text('0123456789'));
      const error = await rejects(store.write(CAT, text('0123456789a')), FractoryError, {
        code: status.RESOURCE_EXHAUSTED,
        reason: 'FILE_TOO_LARGE',
      });
      assert.match(error.message, 'max_file_bytes');
      assert.is(await readText(store, CAT), '0123456789');
      await rejects(store.readAll(CAT, 9, 'inline_limit_bytes'), FractoryError, {
        reason: 'FILE_TOO_LARGE',
      });
    });

    test('an aborted write leaves the old content and no temporary file, also while its source is silent', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      await store.write(CAT, text('old'));
      const controller = new AbortController();
      async function* silent() {
        yield Buffer.from('new');
        controller.abort(new FractoryError(status.CANCELLED, 'CANCELLED', 'gone'));
        await new Promise(() => undefined);
      }
      await rejects(store.write(CAT, silent(), { signal: controller.signal }), FractoryError, {
        code: status.CANCELLED,
      });
      async function* broken() {
        yield Buffer.from('new');
        await Promise.resolve();
        throw new FractoryError(status.CANCELLED, 'CANCELLED', 'the caller went away');
      }
      await rejects(store.write(CAT, broken()), FractoryError, { code: status.CANCELLED });
      assert.is(await readText(store, CAT), 'old');
      assert.equal(await fixture.temporaries('admin'), []);
    });

    test('an open file stays what it was while it is replaced and deleted', async () => {
      await using fixture = await openStore({ verify_first_bytes: 0, chunk_bytes: 2 });
      const { store } = fixture;
      await store.write(CAT, text('old content'));
      await using opened = await store.open(CAT);
      await store.write(CAT, text('new'));
      await store.delete(CAT);
      let read = '';
      for await (const chunk of opened.chunks()) read += Buffer.from(chunk).toString();
      assert.is(read, 'old content');
    });

    test('a file that was removed by hand is gone, and another may take its place', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      await store.write(CAT, text('old'));
      await unlink(fixture.pathOf(CAT));
      await rejects(store.stat(CAT), FractoryError, { reason: 'FILE_NOT_FOUND' });
      await writeFile(fixture.pathOf(CAT), 'by hand');
      assert.is(await readText(store, CAT), 'by hand');
      assert.is((await store.stat(CAT)).version, 2n);
    });

    test('links, folders and hidden files are neither followed nor listed', async () => {
      await using fixture = await openStore();
      const { store, root } = fixture;
      await store.write(CAT, text('cat'));
      await symlink('/etc/hostname', path.join(root, 'admin', 'link'));
      await symlink('/etc', path.join(root, 'etc'));
      await mkdir(path.join(root, 'admin', 'folder'));
      for (const name of ['link', 'folder']) {
        const ref = { client: 'admin', name };
        const notAFile = { code: status.FAILED_PRECONDITION, reason: 'NOT_A_FILE' } as const;
        await rejects(store.open(ref), FractoryError, notAFile);
        await rejects(store.write(ref, text('x')), FractoryError, notAFile);
        await rejects(store.delete(ref), FractoryError, notAFile);
      }
      const outside = { client: 'etc', name: 'hostname' };
      await rejects(store.open(outside), FractoryError, { reason: 'NOT_A_FOLDER' });
      await rejects(store.write(outside, text('x')), FractoryError, { reason: 'NOT_A_FOLDER' });
      const { files } = await store.list();
      assert.equal(
        files.map((file) => file.name),
        ['cat.txt'],
      );
    });

    test('a list is sorted, comes in pages and can be narrowed', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      for (const client of ['b', 'a'])
        for (const name of ['y1', 'x2', 'x1']) await store.write({ client, name }, text(name));
      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = await store.list({ pageSize: 4, pageToken });
        seen.push(...page.files.map((file) => `${file.client}/${file.name}`));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      assert.equal(seen, ['a/x1', 'a/x2', 'a/y1', 'b/x1', 'b/x2', 'b/y1']);
      const narrowed = await store.list({ client: 'b', prefix: 'x' });
      assert.equal(
        narrowed.files.map((file) => file.name),
        ['x1', 'x2'],
      );
      assert.equal(await store.list({ client: 'nobody' }), { files: [], nextPageToken: '' });
      await rejects(store.list({ pageToken: '!' }), FractoryError, { reason: 'BAD_PAGE_TOKEN' });
    });

    test('past the limit of transfers a call is refused, and served again when one has ended', async () => {
      await using fixture = await openStore({ max_transfers: 1 });
      const { store } = fixture;
      await store.write(CAT, text('x'));
      {
        await using opened = await store.open(CAT);
        assert.is(opened.file.version, 1n);
        await rejects(store.open(CAT), FractoryError, { reason: 'TOO_MANY_TRANSFERS' });
      }
      assert.is(await readText(store, CAT), 'x');
    });

    test(
      '192 MiB go in and out in constant memory',
      async () => {
        await using fixture = await openStore();
        const { store } = fixture;
        // Fresh chunks, as they come from a network: whoever keeps them is seen.
        function* source() {
          for (let sent = 0; sent < 768; sent++) yield Buffer.alloc(256 * 1024, 'x');
        }
        let most = 0;
        let looked = 0;
        const before = heldBytes();
        // What is not collected yet is not held: only what survives a collection counts.
        const watch = (): void => {
          if (looked++ % 48 === 0) most = Math.max(most, heldBytes() - before);
        };
        const file = await store.write(
          CAT,
          (function* () {
            for (const one of source()) {
              watch();
              yield one;
            }
          })(),
          { signal: new AbortController().signal },
        );
        assert.is(file.sizeBytes, 192 * 1024 ** 2);
        await using opened = await store.open(CAT);
        let bytes = 0;
        for await (const one of opened.chunks()) {
          bytes += one.length;
          watch();
        }
        assert.is(bytes, file.sizeBytes);
        assert.ok(most < 96 * 1024 ** 2, `grew by ${String(most)} bytes`);
      },
      { timeoutMs: 60_000, skip: keepsContentInMemory && 'content is kept on the heap here' },
    );

    test('every good name keeps its content, every other is refused and touches nothing', async () => {
      await using fixture = await openStore();
      const { store } = fixture;
      const good = fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/);
      await fc.assert(
        fc.asyncProperty(
          good,
          good,
          fc.uint8Array({ maxLength: 50 }),
          async (client, name, data) => {
            await store.write({ client, name }, [data]);
            const read = await store.readAll({ client, name }, 100, 'test');
            assert.equal([...read.data], [...data]);
          },
        ),
        { numRuns: 30 },
      );
      const bad = fc.oneof(
        fc.constantFrom('', '.', '..', '.fractory', '../x', 'a/b', 'a\0b', 'x'.repeat(129), 'ä'),
        fc.string({ unit: 'binary' }).filter((name) => !/^[\w-][\w.-]*$/.test(name)),
      );
      await fc.assert(
        fc.asyncProperty(bad, async (name) => {
          for (const ref of [
            { client: 'admin', name },
            { client: name, name: 'x' },
          ]) {
            const badName = { code: status.INVALID_ARGUMENT, reason: 'BAD_NAME' } as const;
            await rejects(store.write(ref, text('x')), FractoryError, badName);
            await rejects(store.open(ref), FractoryError, badName);
            await rejects(store.stat(ref), FractoryError, badName);
            await rejects(store.delete(ref), FractoryError, badName);
          }
        }),
        { numRuns: 100 },
      );
    });
  });
}

/** Bytes that are in use after a collection. */
function heldBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { arrayBuffers, heapUsed } = process.memoryUsage();
  return arrayBuffers + heapUsed;
}
