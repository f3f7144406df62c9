import { randomBytes } from 'node:crypto';

import { sequence, step } from '../../../applications/sdk/index.js';
import type { Bytes, Json, None } from '../../../applications/sdk/kinds.js';
import type { Written } from '../../../applications/sdk/steps.js';
import { makeMathDevice } from '../../../controllers/math/device.js';
import { assert, suite } from '../../suite.js';
import { Nodes } from '../kernel/nodes.js';
import type { NodesOptions } from '../kernel/nodes.js';

const MIB = 1024 ** 2;

async function world(options: NodesOptions = {}): Promise<Nodes> {
  const nodes = await Nodes.start(options);
  await nodes.block('block-1', { capacity_bytes: '64 MiB' });
  await nodes.storage('storage-1', { backend: 'block' });
  await nodes.math('math-1');
  await nodes.application('application-1');
  return nodes;
}

suite('graphs over layered storage', (test) => {
  for (const topology of ['ring', 'star'] as const)
    for (const size of [1000, 3 * MIB])
      test(`${String(size)} bytes go from the block node to math and back as ${topology}`, async () => {
        await using nodes = await world();
        const client = nodes.client();
        const data = randomBytes(size);
        await client.files.write({ client: 'admin', name: 'in.bin' }, data);
        for (let round = 1; round <= 2; round++) {
          const { result, receipts } = await client.run(
            sequence(
              step<None, Bytes>('storage.read', { client: 'admin', name: 'in.bin' }),
              step<Bytes, Bytes>('math.complement'),
              step<Bytes, Json<Written>>('storage.write', { client: 'admin', name: 'out.bin' }),
            ),
            { topology },
          );
          assert.is(result.sizeBytes, size);
          assert.is(result.version, round);
          const out = await client.files.read({ client: 'admin', name: 'out.bin' });
          assert.ok(Buffer.from(out).equals(Buffer.from(data.map((byte) => 255 - byte))));
          const [read] = receipts;
          assert.is(read?.member, 'storage-1');
          // The file server keeps nothing of what it has on a block device.
          assert.is(Number(read?.heldBytes ?? 0), 0);
        }
      });

  test('a run during which the block node begins a new life is tried again with what it reads then', async () => {
    await using nodes = await Nodes.start();
    const block = { capacity_bytes: '64 MiB' };
    await nodes.block('block-1', block);
    await nodes.storage('storage-1', { backend: 'block' });
    let restarts = 0;
    await nodes.math('math-1', async (context) => {
      const device = await makeMathDevice(context);
      const operations = device.adaptor.operations.map((operation) => ({
        ...operation,
        perform: async (...given: Parameters<typeof operation.perform>) => {
          if (restarts++ === 0) {
            await nodes.stop('block-1');
            await nodes.block('block-1', block);
          }
          return operation.perform(...given);
        },
      }));
      return { ...device, adaptor: { type: 'math', operations } };
    });
    await nodes.application('application-1');
    const client = nodes.client();
    const data = randomBytes(100_000);
    await client.files.write({ client: 'admin', name: 'in.bin' }, data);
    const { result, attempts } = await client.run(
      sequence(
        step<None, Bytes>('storage.read', { client: 'admin', name: 'in.bin' }),
        step<Bytes, Bytes>('math.complement'),
        step<Bytes, Json<Written>>('storage.write', { client: 'admin', name: 'out.bin' }),
      ),
      { budgetMs: 8000 },
    );
    assert.is(result.sizeBytes, 100_000);
    assert.ok(attempts > 1);
  });

  test('where callers need a token the storage node shows its own to the block node', async () => {
    await using nodes = await world({ security: { mode: 'token', token: 'sesame-open-sesame' } });
    const client = nodes.client();
    const data = randomBytes(100_000);
    await client.files.write({ client: 'admin', name: 'in.bin' }, data);
    const { result } = await client.run(
      sequence(
        step<None, Bytes>('storage.read', { client: 'admin', name: 'in.bin' }),
        step<Bytes, Json<Written>>('storage.write', { client: 'admin', name: 'copy.bin' }),
      ),
    );
    assert.is(result.sizeBytes, 100_000);
    assert.ok((await client.files.read({ client: 'admin', name: 'copy.bin' })).equals(data));
  });

  test('through a proxy the same bytes come', async () => {
    await using nodes = await world();
    const client = nodes.client();
    const data = randomBytes(MIB);
    await client.files.write({ client: 'admin', name: 'in.bin' }, data);
    const { receipts } = await client.run(
      sequence(
        step<None, Bytes>('storage.read', { client: 'admin', name: 'in.bin', proxy: 1n }),
        step<Bytes, Bytes>('math.complement'),
        step<Bytes, Json<Written>>('storage.write', { client: 'admin', name: 'out.bin' }),
      ),
    );
    assert.is(Number(receipts[0]?.heldBytes), MIB);
    const out = await client.files.read({ client: 'admin', name: 'out.bin' });
    assert.ok(Buffer.from(out).equals(Buffer.from(data.map((byte) => 255 - byte))));
  });
});
