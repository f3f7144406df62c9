import { createHash } from 'node:crypto';

import { credentials, Metadata, status } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';

import { ControllerServiceClient } from '../../../../protos/gen/fractory/v1/controller.js';
import type {
  AllocateResponse,
  CopyResponse,
  ReadRequest,
  ReadResponse,
  WriteRequest,
  WriteResponse,
} from '../../../../protos/gen/fractory/v1/controller.js';
import type { Capability } from '../../../../protos/gen/fractory/v1/capability.js';
import { fromStatus } from '../../../../protos/status.js';
import { ManualClock } from '../../../../runtime/clock.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { assert, rejects, suite } from '../../../suite.js';
import { never, pattern, Sites } from './sites.js';
import type { Site } from './sites.js';

const MIB = 1024 * 1024;

type Done<R> = (error: ServiceError | null, response: R) => void;

function ask<R>(start: (done: Done<R>) => unknown): Promise<R> {
  return new Promise((resolve, reject) => {
    start((error, response) => {
      if (error) reject(fromStatus(error));
      else resolve(response);
    });
  });
}

/** A client that is no controller. */
class Foreign implements Disposable {
  readonly client: ControllerServiceClient;

  constructor({ member }: Site) {
    this.client = new ControllerServiceClient(member.address, credentials.createInsecure());
  }

  allocate(sizeBytes: number, leaseMs = 0): Promise<AllocateResponse> {
    return ask((done) => this.client.allocate({ sizeBytes: BigInt(sizeBytes), leaseMs }, done));
  }

  write(...messages: readonly WriteRequest['part'][]): Promise<WriteResponse> {
    return ask((done) => {
      const call = this.client.write(done);
      for (const part of messages) call.write({ part });
      call.end();
    });
  }

  writeTo(capability: Capability, offset: number, ...chunks: readonly Uint8Array[]) {
    return this.write(
      header(capability, offset),
      ...chunks.map((value) => ({ $case: 'chunk', value }) as const),
    );
  }

  async read(request: Partial<ReadRequest>): Promise<{ bytes: Buffer; end: ReadResponse['part'] }> {
    const whole = { capability: undefined, offset: 0n, length: 0n, sha256: false, ...request };
    const chunks: Uint8Array[] = [];
    let end: ReadResponse['part'];
    try {
      for await (const message of this.client.read(whole)) {
        const { part } = message as ReadResponse;
        if (part?.$case === 'chunk') chunks.push(part.value);
        else end = part;
      }
    } catch (error) {
      throw fromStatus(error as ServiceError);
    }
    assert.ok(chunks.every(({ length }) => length <= 256 * 1024));
    return { bytes: Buffer.concat(chunks), end };
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}

function header(capability: Capability | undefined, offset = 0): WriteRequest['part'] {
  return { $case: 'header', value: { capability, offset: BigInt(offset) } };
}

const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest();
const outside = { code: status.OUT_OF_RANGE, reason: 'OUT_OF_BOUNDS' } as const;

suite('memories over gRPC, for foreign clients', (test) => {
  test('what is allocated is zeroed, written, read and revoked', async () => {
    await using sites = await Sites.start(1);
    const site = sites.at(0);
    using foreign = new Foreign(site);
    const before = Date.now();
    const { capability, revoker, expiresAtMs } = await foreign.allocate(MIB);
    assert.ok(Number(expiresAtMs) >= before + 60_000 && Number(expiresAtMs) < before + 70_000);
    assert.equal((await foreign.read({ capability, length: 5n })).bytes, Buffer.alloc(5));
    const bytes = pattern(600_000);
    const { end } = await foreign.writeTo(
      capability!,
      100,
      bytes.subarray(0, 7),
      bytes.subarray(7),
    );
    assert.ok(end);
    assert.is(end.sizeBytes, 600_000n);
    assert.equal(Buffer.from(end.sha256), sha256(bytes));
    const read = await foreign.read({ capability, offset: 100n, length: 600_000n, sha256: true });
    assert.is(Buffer.compare(read.bytes, bytes), 0);
    assert.is(read.end?.$case, 'end');
    if (read.end?.$case === 'end') assert.equal(Buffer.from(read.end.value.sha256), sha256(bytes));
    const rest = await foreign.read({ capability, offset: BigInt(MIB - 3) });
    assert.is(rest.bytes.length, 3);
    const { revoked } = await ask<{ revoked: bigint }>((done) =>
      foreign.client.revoke({ capability: revoker }, done),
    );
    assert.is(revoked, 1n);
    await rejects(foreign.read({ capability }), FractoryError, { reason: 'CAPABILITY_REVOKED' });
    assert.is(site.memory.own.count, 0);
  });

  test('a lease that was asked for ends', async () => {
    const clock = new ManualClock();
    await using sites = await Sites.start(1, { clock });
    using foreign = new Foreign(sites.at(0));
    const { capability, expiresAtMs } = await foreign.allocate(10, 5000);
    assert.is(Number(expiresAtMs), clock.now() + 5000);
    clock.advance(4999);
    await foreign.read({ capability });
    clock.advance(1);
    await rejects(foreign.read({ capability }), FractoryError, { reason: 'CAPABILITY_REVOKED' });
  });

  test('what goes past a limit is RESOURCE_EXHAUSTED and names it', async () => {
    await using sites = await Sites.start(1, {
      limits: { max_memory_bytes: 3 * MIB, max_client_memory_bytes: 2 * MIB, max_lease_ms: 1000 },
    });
    using foreign = new Foreign(sites.at(0));
    const limited = async (limit: string, sizeBytes: number, leaseMs = 1000): Promise<void> => {
      const error = await rejects(foreign.allocate(sizeBytes, leaseMs), FractoryError, {
        code: status.RESOURCE_EXHAUSTED,
      });
      assert.is(error.metadata['limit'], limit);
    };
    await limited('max_memory_bytes', 2 ** 50);
    await limited('max_client_memory_bytes', 2 * MIB + 1);
    await limited('max_lease_ms', 1, 1001);
    const { revoker } = await foreign.allocate(2 * MIB, 1000);
    await limited('max_client_memory_bytes', 1);
    await rejects(foreign.allocate(0, 1000), FractoryError, { code: status.INVALID_ARGUMENT });
    await sites.at(0).memory.access.revoke(revoker!, never);
  });

  test('past the end is OUT_OF_RANGE, and writes nothing of the chunk that goes past it', async () => {
    await using sites = await Sites.start(1);
    using foreign = new Foreign(sites.at(0));
    const { capability, revoker } = await foreign.allocate(10);
    await rejects(foreign.read({ capability, length: 11n }), FractoryError, outside);
    await rejects(foreign.read({ capability, offset: 11n }), FractoryError, outside);
    await rejects(foreign.read({ capability, offset: 2n ** 63n }), FractoryError, outside);
    const write = foreign.writeTo(capability!, 4, Buffer.from('abc'), Buffer.from('defg'));
    await rejects(write, FractoryError, outside);
    assert.is((await foreign.read({ capability })).bytes.toString('latin1'), '\0\0\0\0abc\0\0\0');
    await sites.at(0).memory.access.revoke(revoker!, never);
  });

  test('a write that makes no sense is INVALID_ARGUMENT', async () => {
    await using sites = await Sites.start(1);
    using foreign = new Foreign(sites.at(0));
    const { capability, revoker } = await foreign.allocate(10);
    const chunk = { $case: 'chunk', value: Buffer.from('a') } as const;
    const invalid = { code: status.INVALID_ARGUMENT } as const;
    await rejects(foreign.write(), FractoryError, invalid);
    await rejects(foreign.write(chunk), FractoryError, invalid);
    await rejects(foreign.write(header(undefined), chunk), FractoryError, invalid);
    await rejects(foreign.write(header(capability), header(capability)), FractoryError, invalid);
    await rejects(foreign.write(header(capability), undefined), FractoryError, invalid);
    await rejects(foreign.read({}), FractoryError, invalid);
    const large = { $case: 'chunk', value: Buffer.alloc(MIB + 1) } as const;
    const error = await rejects(foreign.write(header(capability), large), FractoryError, {
      code: status.RESOURCE_EXHAUSTED,
    });
    assert.is(error.metadata['limit'], 'max_chunk_bytes');
    await sites.at(0).memory.access.revoke(revoker!, never);
  });

  test('a writer that stops half-way leaves what it wrote, and nothing else behind', async () => {
    await using sites = await Sites.start(1);
    using foreign = new Foreign(sites.at(0));
    const { capability, revoker } = await foreign.allocate(10);
    const call = foreign.client.write(
      new Metadata(),
      { deadline: Date.now() + 100 },
      () => undefined,
    );
    const ended = new Promise<ServiceError>((resolve) => call.on('error', resolve));
    call.on('error', () => undefined);
    call.write({ part: header(capability) });
    call.write({ part: { $case: 'chunk', value: Buffer.from('half') } });
    const written = async (): Promise<string> =>
      (await foreign.read({ capability, length: 4n })).bytes.toString();
    while ((await written()) !== 'half') await new Promise((resolve) => setImmediate(resolve));
    call.cancel();
    void ended;
    await sites.at(0).memory.access.revoke(revoker!, never);
    assert.is(sites.at(0).memory.own.count, 0);
  });

  test('a reader that never reads ends with its deadline', async () => {
    await using sites = await Sites.start(1);
    using foreign = new Foreign(sites.at(0));
    const { capability, revoker } = await foreign.allocate(64 * MIB);
    const call = foreign.client.read(
      { capability, offset: 0n, length: 0n, sha256: false },
      new Metadata(),
      { deadline: Date.now() + 100 },
    );
    const error = await new Promise<ServiceError>((resolve) => {
      call.on('error', resolve);
      call.pause();
      setTimeout(() => call.resume(), 200);
    });
    assert.is(fromStatus(error).code, status.DEADLINE_EXCEEDED);
    await sites.at(0).memory.access.revoke(revoker!, never);
  });

  test('Copy pulls from the owner of the source; only the owner of the destination does it', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    using first = new Foreign(a);
    using second = new Foreign(b);
    const source = await first.allocate(3 * MIB);
    const destination = await second.allocate(4 * MIB);
    const bytes = pattern(3 * MIB);
    const chunks = [0, 1, 2].map((at) => bytes.subarray(at * MIB, (at + 1) * MIB));
    await first.writeTo(source.capability!, 0, ...chunks);
    const request = {
      ...{ source: source.capability, destination: destination.capability, sha256: true },
    };
    const { end } = await ask<CopyResponse>((done) => second.client.copy(request, done));
    assert.equal(Buffer.from(end!.sha256), sha256(bytes));
    const found = await second.read({ capability: destination.capability, length: end!.sizeBytes });
    assert.is(Buffer.compare(found.bytes, bytes), 0);
    await rejects(
      ask<CopyResponse>((done) => first.client.copy(request, done)),
      FractoryError,
      { reason: 'STALE_OWNER' },
    );
    const swapped = { ...request, source: destination.capability, destination: source.capability };
    await rejects(
      ask<CopyResponse>((done) => first.client.copy(swapped, done)),
      FractoryError,
      outside,
    );
    await a.memory.access.revoke(source.revoker!, never);
    await b.memory.access.revoke(destination.revoker!, never);
  });
});
