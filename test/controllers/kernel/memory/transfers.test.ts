import { status } from '@grpc/grpc-js';

import { narrow } from '../../../../controllers/kernel/capabilities/token.js';
import { BufferContent } from '../../../../controllers/kernel/memory/buffer-content.js';
import { listValue } from '../../../../protos/values.js';
import { cancelled, deadlineExceeded, FractoryError } from '../../../../runtime/errors.js';
import type { ContentRange, ReadContentOptions } from '../../../../services/content.js';
import { Authority } from '../../../end-to-end/authority.js';
import { assert, rejects, suite } from '../../../suite.js';
import { bytesOf, pull, same, sha256, valueOf } from './pulled.js';
import { form, gathered, never, pattern, Sites } from './sites.js';
import type { Site } from './sites.js';

const MIB = 1024 * 1024;
const opensslMissing = await Authority.whyNot();
/** Content that counts the chunks that were read, and calls `at` before each. */
class Watched extends BufferContent {
  chunks = 0;
  before: (chunk: number) => Promise<void> | void = () => undefined;

  override async *read(
    range: ContentRange,
    options: ReadContentOptions,
  ): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of super.read(range, options)) {
      const wait = this.before(this.chunks);
      if (wait) await Promise.race([wait, abortOf(options.signal)]);
      this.chunks++;
      yield chunk;
    }
  }
}

/** Bytes of memories that have left a site. */
function sentBytes(site: Site): number {
  return site.metrics.wire
    .all()
    .reduce((sum, { bytes, direction }) => sum + (direction === 'sent' ? bytes : 0), 0);
}

/** Rejects at the abort. */
function abortOf(signal: AbortSignal): Promise<never> {
  const aborted = new Promise<never>((_, reject) => {
    const fail = (): void => {
      reject(signal.reason as Error);
    };
    if (signal.aborted) fail();
    else signal.addEventListener('abort', fail);
  });
  aborted.catch(() => undefined);
  return aborted;
}

function keepWatched(site: Site, sizeBytes: number) {
  const content = new Watched(pattern(sizeBytes));
  const options = { client: 'test', leaseMs: Infinity };
  return { content, kept: site.memory.access.keep(content, form, options) };
}

/** grpc-js shows TLS the address as the name of the server, also where it is an IP address. */
const ipRefused =
  Number(process.versions.node.split('.', 1)[0]) >= 26
    ? 'grpc-js cannot reach IP addresses by TLS on this Node.js'
    : undefined;

suite('transfers between controllers', (test) => {
  test('a memory is read whole, whatever its size, over one connection', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    for (const size of [0, 1, 4095, 65_536, 512 * 1024, 512 * 1024 + 1, 3 * MIB + 7]) {
      const bytes = pattern(size);
      const kept = a.keep(bytes, { sha256: sha256(bytes) });
      for (const reader of [a, b]) {
        same(await gathered(reader.memory.access.stream(kept.memory, never)), bytes, 'streamed');
        same(bytesOf(await pull(reader, kept.memory)), bytes, `${String(size)} pulled`);
      }
      kept.free();
    }
    assert.is(b.memory.connections.dialled, 1);
  });

  test('many pulls at once share few connections, and each gets its own', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const all = Array.from({ length: 40 }, (_, index) => a.keep(Buffer.alloc(100_000, index)));
    const list = listValue(all.map((kept) => valueOf(kept.memory)));
    const whole = await b.memory.access.pull(list, { maxBytes: 64 * MIB, signal: never });
    const values = whole.kind?.$case === 'list' ? whole.kind.value.values : [];
    for (const [index, value] of values.entries())
      same(bytesOf(value), Buffer.alloc(100_000, index));
    assert.is(values.length, 40);
    assert.ok(b.memory.connections.dialled <= 8);
    for (const kept of all) kept.free();
  });

  test('content that is not what was told is DATA_LOSS, with a wrong hash or another size', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const kept = a.keep(pattern(MIB));
    const damaged = { code: status.DATA_LOSS, reason: 'CONTENT_DAMAGED' } as const;
    for (const reader of [a, b]) {
      const wrong = { ...kept.memory, sha256: sha256(pattern(3)) };
      await rejects(pull(reader, wrong), FractoryError, damaged);
      await rejects(gathered(reader.memory.access.stream(wrong, never)), FractoryError, damaged);
      const longer = { ...kept.memory, sizeBytes: BigInt(MIB + 1) };
      await rejects(pull(reader, longer), FractoryError, { reason: 'OUT_OF_BOUNDS' });
    }
    kept.free();
  });

  test('a range of a memory is pulled with a narrowed capability', async () => {
    await using sites = await Sites.start(2);
    const bytes = pattern(MIB);
    const kept = sites.at(0).keep(bytes);
    const range = { offset: 1000n, length: 600_000n };
    const capability = narrow(kept.memory.capability!, { range });
    const part = { ...kept.memory, capability, sizeBytes: range.length };
    same(bytesOf(await pull(sites.at(1), part)), bytes.subarray(1000, 601_000));
    kept.free();
  });

  test('an owner of an earlier life is STALE_OWNER, one that is not there OWNER_LOST', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const kept = a.keep(pattern(10));
    kept.free();
    await rejects(pull(b, kept.memory), FractoryError, { reason: 'CAPABILITY_REVOKED' });
    a.objects.begin(2n);
    await rejects(pull(b, kept.memory), FractoryError, { reason: 'STALE_OWNER' });
    sites.list.set({ ...a.member, epoch: 2n }, b.member);
    await rejects(pull(b, kept.memory), FractoryError, { reason: 'STALE_OWNER' });
    sites.list.set(b.member);
    await rejects(pull(b, kept.memory), FractoryError, { reason: 'OWNER_LOST' });
    await b.memory.access.revoke(kept.revoker, never);
  });

  test('a revoked memory is cut in the middle: no chunk after Revoke has answered', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const { content, kept } = keepWatched(a, 8 * MIB);
    let answered: Promise<number> | undefined;
    content.before = (chunk) => {
      if (chunk !== 4) return;
      answered = b.memory.access.revoke(kept.revoker, never).then(() => sentBytes(a));
    };
    await rejects(pull(b, kept.memory), FractoryError, { reason: 'CAPABILITY_REVOKED' });
    const atAnswer = await answered;
    assert.not.ok(kept.isLive);
    assert.ok(content.chunks < 16, 'the rest was not even read');
    // What is told after the answer is a status, and no chunk.
    assert.ok(sentBytes(a) - atAnswer! < 1000);
    assert.is(b.memory.connections.dialled, 1, 'the connection is kept');
    // What is dead already is no error.
    await b.memory.access.revoke(kept.revoker, never);
  });

  test('whenever Revoke is answered in the course of a copy, nothing is served afterwards', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const destination = b.keep(Buffer.alloc(8 * MIB), { writable: true });
    const to = destination.memory.capability!;
    const ends = { whole: 0, cut: 0 };
    for (let round = 0; round < 60; round++) {
      const source = a.keep(Buffer.alloc(8 * MIB, round));
      const copying = b.memory.access.copy(source.memory.capability!, to, { signal: never }).then(
        () => 'whole' as const,
        (error: unknown) => {
          assert.is((error as FractoryError).reason, 'CAPABILITY_REVOKED');
          return 'cut' as const;
        },
      );
      for (let turn = 0; turn < round; turn++) await new Promise((go) => setImmediate(go));
      await b.memory.access.revoke(source.revoker, never);
      const atAnswer = sentBytes(a);
      ends[await copying]++;
      assert.ok(sentBytes(a) - atAnswer < 1000, `round ${String(round)}`);
    }
    assert.ok(ends.cut > 0, JSON.stringify(ends));
    destination.free();
  });

  test('a derived capability is cut in the middle, and others read on', async () => {
    await using sites = await Sites.start(3);
    const [a, b, c] = [sites.at(0), sites.at(1), sites.at(2)];
    const { content, kept } = keepWatched(a, 8 * MIB);
    const { capability, revoker } = a.objects.derive(kept.memory.capability!);
    content.before = (chunk) => {
      if (chunk === 3) a.objects.revoke(revoker);
    };
    await rejects(pull(b, { ...kept.memory, capability }), FractoryError, {
      reason: 'CAPABILITY_REVOKED',
    });
    same(bytesOf(await pull(c, kept.memory)), pattern(8 * MIB));
    kept.free();
  });

  test('an error of the content reaches the reader, and the connection is kept', async () => {
    await using sites = await Sites.start(2);
    const { content, kept } = keepWatched(sites.at(0), MIB);
    content.before = (chunk) => {
      if (chunk === 1) throw new FractoryError(status.DATA_LOSS, 'FILE_DAMAGED', 'the file is bad');
    };
    await rejects(pull(sites.at(1), kept.memory), FractoryError, { reason: 'FILE_DAMAGED' });
    assert.is(sites.at(1).memory.connections.dialled, 1);
    kept.free();
  });

  test('a cancel ends a transfer at once, with its own reason, and costs the connection', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    for (const reason of [cancelled(), deadlineExceeded('too slow')]) {
      const stop = new AbortController();
      const { content, kept } = keepWatched(a, 8 * MIB);
      content.before = async (chunk) => {
        if (chunk === 2) stop.abort(reason);
        if (chunk > 4) await new Promise(() => undefined);
      };
      const error = await rejects(pull(b, kept.memory, stop.signal), FractoryError);
      assert.is(error, reason);
      kept.free();
    }
    const aborted = AbortSignal.abort(cancelled());
    const kept = a.keep(pattern(10));
    await rejects(pull(b, kept.memory, aborted), FractoryError, { reason: 'CANCELLED' });
    kept.free();
  });

  test('a reader that stops early, or is slow, holds nothing up and nothing back', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const { content, kept } = keepWatched(a, 32 * MIB);
    let count = 0;
    for await (const chunk of b.memory.access.stream(kept.memory, never)) {
      assert.ok(chunk.length <= MIB);
      // Gives the owner all the time to run ahead.
      for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (++count === 3) break;
    }
    assert.ok(content.chunks < 60, `${String(content.chunks)} chunks were read for 3`);
    same(bytesOf(await pull(b, kept.memory)), pattern(32 * MIB));
    kept.free();
  });

  test('an owner that dies in the middle is OWNER_LOST', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const { content, kept } = keepWatched(a, 8 * MIB);
    let death: Promise<void> | undefined;
    content.before = (chunk) => {
      if (chunk !== 3) return undefined;
      death = a.die();
      return new Promise(() => undefined);
    };
    await rejects(pull(b, kept.memory), FractoryError, { reason: 'OWNER_LOST' });
    await death;
  });

  test('an owner that left the data center is OWNER_LOST, whatever its connections say', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const { content, kept } = keepWatched(a, 8 * MIB);
    content.before = (chunk) => {
      if (chunk !== 3) return undefined;
      sites.list.set(b.member);
      return new Promise(() => undefined);
    };
    await rejects(pull(b, kept.memory), FractoryError, { reason: 'OWNER_LOST' });
    kept.free();
  });

  test('both ends count the same bytes and frames', async () => {
    await using sites = await Sites.start(2);
    const [a, b] = [sites.at(0), sites.at(1)];
    const kept = a.keep(pattern(8 * MIB));
    await pull(b, kept.memory);
    await pull(b, kept.memory);
    const totals = (site: Site) =>
      new Map(site.metrics.wire.all().map((total) => [`${total.peer} ${total.direction}`, total]));
    const [served, read] = [totals(a), totals(b)];
    for (const [ours, theirs] of [
      ['math-2 sent', 'math-1 received'],
      ['math-2 received', 'math-1 sent'],
    ] as const) {
      const [one, other] = [served.get(ours)!, read.get(theirs)!];
      assert.equal([one.bytes, one.messages], [other.bytes, other.messages], ours);
      assert.is(one.path, 'bulk');
    }
    const sent = served.get('math-2 sent')!.bytes;
    assert.ok(sent > 16 * MIB && sent < 16 * MIB + 2000, String(sent));
    assert.match(await a.metrics.registry.metrics(), /fractory_wire_bytes_total\{peer="math-2",/);
    kept.free();
  });

  test(
    'in mtls mode bytes go the same ways, and a slow reader is waited for',
    async () => {
      await using authority = await Authority.create();
      const { certificate, key } = await authority.issue('math-1');
      const paths = { caPath: authority.certificate, certificatePath: certificate, keyPath: key };
      await using sites = await Sites.start(2, { security: { mode: 'mtls', ...paths } });
      const [a, b] = [sites.at(0), sites.at(1)];
      const bytes = pattern(8 * MIB + 3);
      const source = a.keep(bytes, { sha256: sha256(bytes) });
      const destination = b.keep(Buffer.alloc(9 * MIB), { writable: true });
      await a.memory.access.copy(source.memory.capability!, destination.memory.capability!, {
        ...{ sha256: true, signal: never },
      });
      const parts: Uint8Array[] = [];
      for await (const chunk of b.memory.access.stream(source.memory, never)) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        parts.push(chunk);
      }
      same(Buffer.concat(parts), bytes, 'streamed');
      const copied = bytesOf(await pull(a, destination.memory));
      same(copied.subarray(0, bytes.length), bytes, 'copied');
      source.free();
      destination.free();
    },
    { skip: opensslMissing ?? ipRefused },
  );

  test('gauges tell how many memories there are and what they take', async () => {
    await using sites = await Sites.start(1);
    const site = sites.at(0);
    const kept = [site.keep(pattern(100)), site.keep(pattern(50), { heldBytes: 0 })];
    const gauges = async (): Promise<unknown[]> =>
      Promise.all(
        [site.metrics.memories, site.metrics.memoryBytes].map(
          async (gauge) => (await gauge.get()).values[0]?.value,
        ),
      );
    assert.equal(await gauges(), [2, 100]);
    for (const one of kept) one.free();
    assert.equal(await gauges(), [0, 0]);
  });
});
