import { credentials, status } from '@grpc/grpc-js';

import { StoredJournalFiles } from '../../../controllers/application/journal-files.js';
import type { JournalFiles } from '../../../controllers/application/journal-files.js';
import type { Peers } from '../../../controllers/kernel/device.js';
import { Security } from '../../../controllers/kernel/security.js';
import { JournalRecord } from '../../../protos/gen/fractory/v1/journal.js';
import { toFractoryError } from '../../../protos/status.js';
import { ChannelPool } from '../../../runtime/channels.js';
import { FractoryError } from '../../../runtime/errors.js';
import { assert, rejects, suite } from '../../suite.js';
import { Nodes } from '../kernel/nodes.js';
import { MemoryJournalFiles } from './memory-journal.js';

interface Served extends AsyncDisposable {
  readonly files: JournalFiles;
}

const inMemory = (): Promise<Served> =>
  Promise.resolve({
    files: new MemoryJournalFiles(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });

/** A storage node, and peers that show it the key of the controllers, or not. */
async function inStorage(secret = 'f'.repeat(64)): Promise<Served & { readonly nodes: Nodes }> {
  const nodes = await Nodes.start();
  await nodes.storage('storage-1');
  const channels = new ChannelPool({
    credentials: credentials.createInsecure(),
    interceptors: [new Security({ mode: 'open' }, secret).interceptor()],
  });
  const peers: Peers = {
    call: async (_, client, call, signal) => {
      try {
        return await call(channels.client(client, nodes.node('storage-1').node.address), signal);
      } catch (error) {
        throw toFractoryError(error);
      }
    },
  };
  return {
    nodes,
    files: new StoredJournalFiles(peers),
    [Symbol.asyncDispose]: async () => {
      channels.close();
      await nodes[Symbol.asyncDispose]();
    },
  };
}

const { signal } = new AbortController();
const bytesOf = (run: string, attempts = 0): Uint8Array =>
  JournalRecord.encode(JournalRecord.fromPartial({ run, attempts })).finish();
const open = (run: string) => ({ run, isEnded: false });

for (const [kind, serve] of [
  ['in memory', inMemory],
  ['in storage', inStorage],
] as const)
  suite(`journal files ${kind}`, (test) => {
    test('a write is a test-and-set of the version', async () => {
      await using served = await serve();
      const { files } = served;
      const first = await files.put(open('a'), 0n, bytesOf('a'), signal);
      const second = await files.put(open('a'), first, bytesOf('a', 1), signal);
      assert.ok(second > first);
      for (const stale of [0n, first])
        await rejects(files.put(open('a'), stale, bytesOf('a', 2), signal), FractoryError, {
          reason: 'VERSION_MISMATCH',
        });
      const found = await files.get('a', signal);
      assert.equal(
        [found?.version, found && Buffer.from(found.bytes)],
        [...[second, Buffer.from(bytesOf('a', 1))]],
      );
    });

    test('lists what is open and what has ended', async () => {
      await using served = await serve();
      const { files } = served;
      assert.equal(await files.list(signal), []);
      const version = await files.put(open('a'), 0n, bytesOf('a'), signal);
      await files.put({ run: 'a', isEnded: true }, version, bytesOf('a', 1), signal);
      await files.put(open('b'), 0n, bytesOf('b'), signal);
      const found = (await files.list(signal)).map(({ run, isEnded }) => [run, isEnded]);
      assert.equal(found, [
        ['a', true],
        ['b', false],
      ]);
    });

    test('removes what has that version and nothing else, and then the name is new, though no version comes again', async () => {
      await using served = await serve();
      const { files } = served;
      const first = await files.put(open('a'), 0n, bytesOf('a'), signal);
      const version = await files.put(open('a'), first, bytesOf('a', 1), signal);
      await rejects(files.remove({ run: 'a', version: first }, signal), FractoryError, {
        reason: 'VERSION_MISMATCH',
      });
      await files.remove({ run: 'a', version }, signal);
      await files.remove({ run: 'a', version }, signal);
      assert.is(await files.get('a', signal), undefined);
      assert.ok((await files.put(open('a'), 0n, bytesOf('a'), signal)) > version);
    });
  });

suite('journal files and clients', (test) => {
  test('a write whose answer was lost succeeds when it is sent again', async () => {
    await using served = await inStorage();
    const { files } = served;
    const version = await files.put(open('a'), 0n, bytesOf('a'), signal);
    assert.is(await files.put(open('a'), 0n, bytesOf('a'), signal), version);
  });

  test('only controllers reach them', async () => {
    await using served = await inStorage('e'.repeat(64));
    const { files } = served;
    const refused = [
      files.put(open('a'), 0n, bytesOf('a'), signal),
      files.get('a', signal),
      files.list(signal),
      files.remove({ run: 'a', version: 1n }, signal),
    ];
    for (const one of refused)
      await rejects(one, FractoryError, {
        ...{ code: status.PERMISSION_DENIED, reason: 'RESERVED_CLIENT' },
      });
  });
});
