import { Metadata } from '@grpc/grpc-js';

import type {
  AllocateResponse,
  InvokeResponse,
  ReadResponse,
  RevokeResponse,
  WriteResponse,
} from '../../../../protos/gen/fractory/v1/controller.js';
import { InvokeRequest } from '../../../../protos/gen/fractory/v1/controller.js';
import type { ControllerServiceClient } from '../../../../protos/gen/fractory/v1/controller.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { toFractoryError } from '../../../../protos/status.js';
import { bytesValue } from '../../../../protos/values.js';
import { assert, suite } from '../../../suite.js';
import { ask, Cluster } from './cluster.js';

const MIB = 1024 ** 2;
const FORM = bytesValue('application/octet-stream', new Uint8Array(0));

interface Allocated {
  readonly capability: Capability;
  readonly revoker: Capability;
}

async function allocate(client: ControllerServiceClient, sizeBytes: number): Promise<Allocated> {
  const request = { sizeBytes: BigInt(sizeBytes), leaseMs: 60_000 };
  const { capability, revoker } = await ask<AllocateResponse>((done) =>
    client.allocate(request, done),
  );
  return { capability: capability!, revoker: revoker! };
}

async function read(
  client: ControllerServiceClient,
  capability: Capability,
  offset = 0n,
  length = 0n,
): Promise<Buffer> {
  const request = { capability, offset, length, sha256: false };
  const chunks: Uint8Array[] = [];
  for await (const { part } of client.read(request, new Metadata()) as AsyncIterable<ReadResponse>)
    if (part?.$case === 'chunk') chunks.push(part.value);
  return Buffer.concat(chunks);
}

const revoke = (client: ControllerServiceClient, capability: Capability): Promise<RevokeResponse> =>
  ask<RevokeResponse>((done) => client.revoke({ capability }, done));

const reasonOf = (used: Promise<unknown>): Promise<string> =>
  used.then(
    () => 'served',
    (error: unknown) => toFractoryError(error).reason,
  );

suite('a memory in bad hands', (test) => {
  test('is not read past its end, by clients and by consumers that were told a wrong size', async () => {
    await using cluster = await Cluster.start(2);
    using controller = cluster.controller('math-1');
    using other = cluster.controller('math-2');
    const { client } = controller;
    const { capability, revoker } = await allocate(client, MIB);
    for (const [offset, length] of [
      [BigInt(MIB), 1n],
      [0n, BigInt(MIB + 1)],
      [2n ** 64n - 1n, 0n],
      [1n, 2n ** 64n - 1n],
    ] as const)
      assert.is(await reasonOf(read(client, capability, offset, length)), 'OUT_OF_BOUNDS');
    for (const sizeBytes of [MIB + 1, 2 * MIB]) {
      const memory = {
        capability,
        form: FORM,
        sizeBytes: BigInt(sizeBytes),
        sha256: new Uint8Array(),
      };
      const request = InvokeRequest.fromPartial({
        capability: await cluster.root('math-2', 'math.length'),
        arguments: [{ name: 'input', value: { kind: { $case: 'memory', value: memory } } }],
        onFailure: [{ capability: await cluster.root('math-2', 'math.note') }],
        budgetMs: 5000,
      });
      await ask<InvokeResponse>((done) => other.client.invoke(request, done));
      await cluster.happened('noted OUT_OF_BOUNDS');
      cluster.workshops.get('math-2')!.events.length = 0;
    }
    await revoke(client, revoker);
    await cluster.nothingHeld();
  });

  test('keeps what a writer wrote that stops half-way, until it is revoked', async () => {
    await using cluster = await Cluster.start(1);
    using controller = cluster.controller('math-1');
    const { client } = controller;
    const { capability, revoker } = await allocate(client, 2 * MIB);
    const told = ask<WriteResponse>((done) => {
      const call = client.write(done);
      call.write({ part: { $case: 'header', value: { capability, offset: 0n } } });
      call.write({ part: { $case: 'chunk', value: Buffer.alloc(MIB, 7) } });
      void (async () => {
        while ((await read(client, capability, BigInt(MIB - 1), 1n))[0] !== 7);
        call.cancel();
      })();
      return call;
    });
    assert.is(await reasonOf(told), 'CANCELLED');
    const content = await read(client, capability);
    assert.ok(content.equals(Buffer.concat([Buffer.alloc(MIB, 7), Buffer.alloc(MIB)])));
    assert.is((await cluster.held('math-1'))['memories'], 1);
    await revoke(client, revoker);
    await cluster.nothingHeld();
  });

  test('is not kept alive by a reader that never reads, nor by a writer that never writes', async () => {
    await using cluster = await Cluster.start(1);
    using controller = cluster.controller('math-1');
    const { client } = controller;
    const { capability, revoker } = await allocate(client, 32 * MIB);
    const request = { capability, offset: 0n, length: 0n, sha256: false };
    const lazy = client.read(request, new Metadata(), { deadline: Date.now() + 20_000 });
    lazy.on('error', () => undefined);
    await new Promise((resolve) => lazy.once('metadata', resolve));
    const idle = ask<WriteResponse>((done) => {
      const call = client.write(new Metadata(), { deadline: Date.now() + 1000 }, done);
      call.write({ part: { $case: 'header', value: { capability, offset: 0n } } });
      return call;
    });
    const ended = reasonOf(idle);
    await revoke(client, revoker);
    await cluster.nothingHeld();
    assert.is(await ended, 'DEADLINE_EXCEEDED');
    lazy.cancel();
  });
});
