import { status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';

import { BlockServiceClient } from '../../../protos/gen/fractory/v1/block.js';
import type {
  BlockServiceAllocateResponse,
  BlockServiceListResponse,
  FreeResponse,
  OpenResponse,
  SyncResponse,
  UsageResponse,
} from '../../../protos/gen/fractory/v1/block.js';
import { fromStatus } from '../../../protos/status.js';
import { FractoryError } from '../../../runtime/errors.js';
import { settings } from '../../../controllers/block/settings.js';
import type { DeviceContext, MakeDevice } from '../../../controllers/kernel/device.js';
import { makeMathDevice } from '../../../controllers/math/device.js';
import type { MathSettings } from '../../../controllers/math/settings.js';
import { assert, rejects, suite } from '../../suite.js';
import { Nodes } from '../kernel/nodes.js';

type Done<R> = (error: ServiceError | null, response: R) => void;

const MIB = 1024 ** 2;
const { signal } = new AbortController();

/** A block node and another node that reads and writes its memories. */
async function world() {
  const nodes = await Nodes.start();
  let context: DeviceContext<MathSettings> | undefined;
  const make: MakeDevice<MathSettings> = (given) => {
    context = given;
    return makeMathDevice(given);
  };
  await nodes.block('block-1', { capacity_bytes: '32 MiB' });
  await nodes.math('math-1', make);
  const { kernel, peers } = context!;
  const call = <R>(start: (client: BlockServiceClient, done: Done<R>) => unknown): Promise<R> =>
    peers.call(
      { member: 'block-1' },
      BlockServiceClient,
      (client) =>
        new Promise<R>((resolve, reject) => {
          start(client, (error, response) => {
            if (error) reject(fromStatus(error));
            else resolve(response);
          });
        }),
      signal,
    );
  return {
    ...{ nodes, memory: kernel.memory, call, peers },
    allocate: async (sizeBytes: number, label = ''): Promise<string> => {
      const request = { sizeBytes: BigInt(sizeBytes), label };
      const { extent } = await call<BlockServiceAllocateResponse>((client, done) =>
        client.allocate(request, done),
      );
      return extent!.id;
    },
    open: async (extents: string[], more: { writable?: boolean; leaseMs?: number } = {}) => {
      const { writable = false, leaseMs = 0 } = more;
      const request = { extents, sizeBytes: 0n, writable, leaseMs };
      const { memory, revoker } = await call<OpenResponse>((client, done) =>
        client.open(request, done),
      );
      return { memory: memory!, capability: memory!.capability!, revoker: revoker! };
    },
    free: (...extents: string[]) =>
      call<FreeResponse>((client, done) => client.free({ extents }, done)),
    usage: () => call<UsageResponse>((client, done) => client.usage({}, done)),
    [Symbol.asyncDispose]: () => nodes[Symbol.asyncDispose](),
  };
}

suite('block service', (test) => {
  test('one memory over several extents is written and read by another node', async () => {
    await using block = await world();
    const ids = [await block.allocate(1), await block.allocate(5000)];
    const { capability } = await block.open(ids, { writable: true });
    const data = Buffer.from(Array.from({ length: 12_288 }, (_, index) => index % 253));
    const end = await block.memory.write(
      capability,
      0,
      [data.subarray(0, 7), data.subarray(7)],
      signal,
    );
    assert.is(end.sizeBytes, 12_288n);
    await block.call<SyncResponse>((client, done) => client.sync({ extents: ids }, done));
    const { memory } = await block.open(ids);
    const chunks: Uint8Array[] = [];
    for await (const chunk of block.memory.stream(memory, signal)) chunks.push(chunk);
    assert.ok(Buffer.concat(chunks).equals(data));
    await rejects(block.memory.write(memory.capability!, 0, [data], signal), FractoryError, {
      code: status.PERMISSION_DENIED,
    });
    assert.is((await block.usage()).allocatedBytes, 12_288n);
  });

  test('once a free has answered nothing more is served or written through any memory of the extent', async () => {
    await using block = await world();
    const [kept, freed] = [await block.allocate(MIB), await block.allocate(8 * MIB)];
    const wide = await block.open([kept, freed]);
    const write = await block.open([freed], { writable: true });
    const other = await block.open([kept]);
    const chunks = block.memory.stream(wide.memory, signal)[Symbol.asyncIterator]();
    await chunks.next();
    await block.free(freed);
    const revoked = { reason: 'CAPABILITY_REVOKED' } as const;
    const rest = async (): Promise<void> => {
      for (;;) if ((await chunks.next()).done) return;
    };
    await rejects(rest(), FractoryError, revoked);
    await rejects(
      block.memory.write(write.capability, 0, [Buffer.alloc(1)], signal),
      FractoryError,
      revoked,
    );
    const read = block.memory.stream(other.memory, signal);
    for await (const chunk of read) assert.ok(chunk.every((byte) => byte === 0));
    await rejects(block.open([freed]), FractoryError, { reason: 'EXTENT_NOT_FOUND' });
    await block.free(freed, 'never was');
    // The same blocks, and none of what was in them.
    const again = await block.open([await block.allocate(8 * MIB)]);
    for await (const chunk of block.memory.stream(again.memory, signal))
      assert.ok(chunk.every((byte) => byte === 0));
  });

  test('a memory is revoked alone by its revoker, and ends with its lease', async () => {
    await using block = await world();
    const id = await block.allocate(1);
    const first = await block.open([id]);
    const short = await block.open([id], { leaseMs: 1 });
    await block.memory.revoke(first.revoker, signal);
    const { memory } = await block.open([id]);
    for await (const chunk of block.memory.stream(memory, signal)) assert.is(chunk.length, 4096);
    const drain = async (): Promise<void> => {
      for await (const chunk of block.memory.stream(short.memory, signal)) assert.ok(chunk);
    };
    await new Promise((resolve) => setTimeout(resolve, 20));
    await rejects(drain(), FractoryError, { reason: 'CAPABILITY_REVOKED' });
  });

  test('extents outlive their node, its memories do not', async () => {
    await using block = await world();
    const id = await block.allocate(1, 'of the test');
    const before = await block.open([id], { writable: true });
    await block.memory.write(before.capability, 0, [Buffer.from('durable')], signal);
    await block.call<SyncResponse>((client, done) => client.sync({ extents: [id] }, done));
    await block.nodes.stop('block-1');
    await rejects(block.usage(), FractoryError, { reason: 'OWNER_LOST' });
    await block.nodes.block('block-1', { capacity_bytes: '32 MiB' });
    const opened = async (): ReturnType<typeof block.open> => {
      for (;;)
        try {
          return await block.open([id]);
        } catch (error) {
          if (!(error instanceof FractoryError) || error.code !== status.UNAVAILABLE) throw error;
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
    };
    const { memory } = await opened();
    const chunks: Uint8Array[] = [];
    for await (const chunk of block.memory.stream(memory, signal)) chunks.push(chunk);
    assert.match(Buffer.concat(chunks).toString(), /^durable\0+$/);
    await rejects(
      block.memory.write(before.capability, 0, [Buffer.from('x')], signal),
      FractoryError,
      { reason: 'STALE_OWNER' },
    );
  });

  test('bad requests are refused, each with its own reason', async () => {
    await using block = await world();
    const id = await block.allocate(1);
    const cases: [Promise<unknown>, string][] = [
      [block.allocate(0), 'INVALID_ARGUMENT'],
      [block.allocate(33 * MIB), 'DEVICE_FULL'],
      [block.allocate(2 ** 40), 'LIMIT_EXCEEDED'],
      [block.open([]), 'INVALID_ARGUMENT'],
      [block.open([id, id]), 'INVALID_ARGUMENT'],
      [block.open(['0'.repeat(32)]), 'EXTENT_NOT_FOUND'],
      [
        block.call<OpenResponse>((client, done) =>
          client.open({ extents: [id], sizeBytes: 4097n, writable: false, leaseMs: 0 }, done),
        ),
        'INVALID_ARGUMENT',
      ],
      [
        block.call<BlockServiceListResponse>((client, done) =>
          client.list({ labelPrefix: 'short', pageToken: '' }, done),
        ),
        'INVALID_ARGUMENT',
      ],
    ];
    for (const [work, reason] of cases) await rejects(work, FractoryError, { reason });
  });

  test('settings read sizes and refuse blocks that are no power of two', () => {
    const { device_path, capacity_bytes, block_bytes } = settings.parse({});
    assert.equal(
      [device_path, capacity_bytes, block_bytes],
      ['.fractory/block/NAME.img', 1024 ** 3, 4096],
    );
    assert.is(settings.safeParse({ block_bytes: '5000' }).success, false);
    assert.is(settings.parse({ block_bytes: '64 KiB' }).block_bytes, 65_536);
  });
});
