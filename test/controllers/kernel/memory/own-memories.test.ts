import { limitsSection } from '../../../../config/limits.js';
import type { Limits } from '../../../../config/limits.js';
import { ObjectTable } from '../../../../controllers/kernel/capabilities/objects.js';
import { narrow } from '../../../../controllers/kernel/capabilities/token.js';
import type { KeepOptions, KeptMemory } from '../../../../controllers/kernel/memory/access.js';
import { BufferContent } from '../../../../controllers/kernel/memory/buffer-content.js';
import { OwnMemories } from '../../../../controllers/kernel/memory/own-memories.js';
import { status } from '@grpc/grpc-js';
import { ManualClock } from '../../../../runtime/clock.js';
import { FractoryError } from '../../../../runtime/errors.js';
import { silentLogger } from '../../../../runtime/logger.js';
import type { Content } from '../../../../services/content.js';
import { assert, rejects, suite, throws } from '../../../suite.js';
import { form, gathered, never, pattern } from './sites.js';

/** The memories of one controller, in memory. Disposing it asserts that nothing is left. */
class Own {
  readonly clock = new ManualClock();
  readonly objects: ObjectTable;
  readonly memories: OwnMemories;
  readonly changes: (readonly [number, number])[] = [];

  constructor(limits: Partial<Limits> = {}) {
    const all = { ...limitsSection.parse({}), ...limits };
    this.objects = new ObjectTable('math-1', () => [], { clock: this.clock, limits: all });
    this.objects.begin(7n);
    this.memories = new OwnMemories({
      ...{ objects: this.objects, limits: all, clock: this.clock, log: silentLogger() },
      onChange: (count, bytes) => this.changes.push([count, bytes]),
    });
  }

  keep(content: Content | number = 10, options: Partial<KeepOptions> = {}): KeptMemory {
    const kept = typeof content === 'number' ? new BufferContent(pattern(content)) : content;
    return this.memories.keep(kept, form, { client: 'test', leaseMs: Infinity, ...options });
  }

  read(kept: KeptMemory, offset = 0, length = 0): Promise<Buffer> {
    const open = this.memories.openRead(kept.memory.capability!, { offset, length });
    return gathered(open.chunks(4, never));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    assert.equal([this.objects.size, this.clock.pending], [0, 0], 'objects and timers');
    const { count, bytes, clients } = this.memories;
    assert.equal([count, bytes, clients], [0, 0, 0]);
    await this.memories.close();
  }
}

/** Content that tells of its end and gives its chunks when it is told to. */
class Held extends BufferContent {
  disposals = 0;
  #open: () => void = () => undefined;
  readonly #opened = new Promise<void>((resolve) => (this.#open = resolve));

  letGo(): void {
    this.#open();
  }

  override async *read(
    ...args: Parameters<BufferContent['read']>
  ): AsyncGenerator<Uint8Array, void> {
    const { signal } = args[1];
    await Promise.race([
      this.#opened,
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      }),
    ]);
    yield* super.read(...args);
  }

  override [Symbol.asyncDispose](): Promise<void> {
    this.disposals++;
    return super[Symbol.asyncDispose]();
  }
}

suite('memories of a node', (test) => {
  test('a memory is kept, read and freed, and freeing it twice is freeing it once', async () => {
    await using own = new Own();
    const content = new Held(pattern(10));
    content.letGo();
    const kept = own.keep(content);
    assert.ok(kept.isLive);
    assert.equal([kept.memory.sizeBytes, kept.memory.form], [10n, form]);
    assert.equal(await own.read(kept), pattern(10));
    assert.equal(await own.read(kept, 3, 5), pattern(10).subarray(3, 8));
    kept.free();
    kept.free();
    assert.equal([kept.isLive, content.disposals], [false, 1]);
    throws(
      () => own.memories.openRead(kept.memory.capability!, { offset: 0, length: 0 }),
      FractoryError,
      {
        reason: 'CAPABILITY_REVOKED',
      },
    );
    assert.equal(own.changes, [
      [1, 10],
      [0, 0],
    ]);
  });

  test('reads and writes past the end are OUT_OF_BOUNDS, and write nothing', async () => {
    await using own = new Own();
    const kept = own.keep(new BufferContent(pattern(10), { writable: true }), { writable: true });
    const capability = kept.memory.capability!;
    const outside = { code: status.OUT_OF_RANGE, reason: 'OUT_OF_BOUNDS' } as const;
    for (const [offset, length] of [
      [0, 11],
      [10, 1],
      [11, 0],
      [2 ** 60, 0],
    ] as const)
      throws(() => own.memories.openRead(capability, { offset, length }), FractoryError, outside);
    assert.is((await own.read(kept, 10, 0)).length, 0);
    throws(() => own.memories.openWrite(capability, 11), FractoryError, outside);
    const target = own.memories.openWrite(capability, 8);
    await target.write(Buffer.from('x'));
    throws(() => target.write(Buffer.from('yz')), FractoryError, outside);
    await target.write(Buffer.from('w'));
    assert.equal(String((await own.read(kept)).subarray(8)), 'xw');
    kept.free();
  });

  test('a caveat narrows a memory to a range, whose first byte is byte 0, and to a right', async () => {
    await using own = new Own();
    const kept = own.keep(new BufferContent(pattern(10), { writable: true }), { writable: true });
    const middle = narrow(kept.memory.capability!, { range: { offset: 2n, length: 5n } });
    const open = own.memories.openRead(middle, { offset: 1, length: 0 });
    assert.is(open.sizeBytes, 4);
    assert.equal(await gathered(open.chunks(100, never)), pattern(10).subarray(3, 7));
    throws(() => own.memories.openRead(middle, { offset: 0, length: 6 }), FractoryError, {
      reason: 'OUT_OF_BOUNDS',
    });
    const target = own.memories.openWrite(middle, 4);
    await target.write(Buffer.from('!'));
    throws(() => target.write(Buffer.from('!')), FractoryError, { reason: 'OUT_OF_BOUNDS' });
    assert.is((await own.read(kept)).subarray(6, 7).toString(), '!');
    const readOnly = narrow(kept.memory.capability!, { rights: 2 });
    throws(() => own.memories.openWrite(readOnly, 0), FractoryError, {
      reason: 'CAPABILITY_DENIED',
    });
    kept.free();
  });

  test('what is kept to be read has no right to write, whatever the content could', async () => {
    await using own = new Own();
    const kept = own.keep(new BufferContent(pattern(4), { writable: true }));
    throws(() => own.memories.openWrite(kept.memory.capability!, 0), FractoryError, {
      reason: 'CAPABILITY_DENIED',
    });
    kept.free();
  });

  test('a lease frees the memory when its time has come, and not before', async () => {
    await using own = new Own();
    const kept = own.keep(10, { leaseMs: 1000 });
    own.clock.advance(999);
    assert.ok(kept.isLive);
    own.clock.advance(1);
    assert.not.ok(kept.isLive);
    const early = own.keep(10, { leaseMs: 1000 });
    early.free();
  });

  test('past the limits of the node and of a client there is RESOURCE_EXHAUSTED that names them', async () => {
    await using own = new Own({
      ...{ max_memory_bytes: 100, max_client_memory_bytes: 60, max_memories: 3 },
    });
    const limited = (limit: string, heldBytes: number, client: string): FractoryError => {
      const content = new Held(pattern(1));
      const error = throws(() => own.keep(content, { heldBytes, client }), FractoryError, {
        code: status.RESOURCE_EXHAUSTED,
      });
      assert.is(error.metadata['limit'], limit);
      assert.is(content.disposals, 1, 'what is refused is disposed of');
      return error;
    };
    const first = own.keep(60, { client: 'run a' });
    assert.ok(limited('max_client_memory_bytes', 1, 'run a').retryAfterMs);
    assert.is(limited('max_client_memory_bytes', 61, 'run b').retryAfterMs, undefined);
    assert.ok(limited('max_memory_bytes', 41, 'run b').retryAfterMs);
    const second = own.keep(40, { client: 'run b' });
    const third = own.keep(10, { client: 'run c', heldBytes: 0 });
    limited('max_memories', 0, 'run c');
    first.free();
    own.keep(60, { client: 'run b', heldBytes: 20 }).free();
    second.free();
    third.free();
  });

  test('freed while it is read: the read ends, then the content is disposed of', async () => {
    await using own = new Own();
    const content = new Held(pattern(10));
    const kept = own.keep(content);
    const reading = own.read(kept);
    await Promise.resolve();
    kept.free();
    assert.equal([content.disposals, own.memories.count], [0, 1]);
    await rejects(reading, FractoryError, { reason: 'CAPABILITY_REVOKED' });
    assert.equal([content.disposals, own.memories.count], [1, 0]);
  });

  test('a reader that has stopped to read keeps nothing alive', async () => {
    await using own = new Own();
    const content = new Held(pattern(10));
    content.letGo();
    const kept = own.keep(content);
    const open = own.memories.openRead(kept.memory.capability!, { offset: 0, length: 0 });
    const chunks = open.chunks(4, never);
    assert.is((await chunks.next()).value?.length, 4);
    kept.free();
    assert.is(content.disposals, 1);
    await rejects(chunks.next(), FractoryError, { reason: 'CAPABILITY_REVOKED' });
  });

  test('no chunk is read or written after Revoke has answered, whichever node was revoked', async () => {
    await using own = new Own();
    const kept = own.keep(new BufferContent(pattern(10), { writable: true }), { writable: true });
    for (const { capability, revoker } of [
      own.objects.derive(kept.memory.capability!),
      { capability: kept.memory.capability!, revoker: kept.revoker },
    ]) {
      const open = own.memories.openRead(capability, { offset: 0, length: 0 });
      const chunks = open.chunks(4, never);
      await chunks.next();
      const target = own.memories.openWrite(capability, 0);
      await target.write(Buffer.from('a'));
      assert.is(own.objects.revoke(revoker), 1);
      throws(() => target.write(Buffer.from('b')), FractoryError, { reason: 'CAPABILITY_REVOKED' });
      await rejects(chunks.next(), FractoryError, { reason: 'CAPABILITY_REVOKED' });
    }
    assert.not.ok(kept.isLive);
  });

  test('a capability that expires in the middle cuts the transfer', async () => {
    await using own = new Own();
    const kept = own.keep(10);
    const expiresAtMs = BigInt(own.clock.now() + 50);
    const soon = narrow(kept.memory.capability!, { expiresAtMs });
    const chunks = own.memories.openRead(soon, { offset: 0, length: 0 }).chunks(4, never);
    await chunks.next();
    own.clock.advance(50);
    await rejects(chunks.next(), FractoryError, { reason: 'CAPABILITY_EXPIRED' });
    kept.free();
  });

  test('a new life of the node frees all, and keeps nothing while it is not registered', async () => {
    await using own = new Own();
    const kept = own.keep(10, { leaseMs: 1000 });
    own.objects.begin(8n);
    assert.not.ok(kept.isLive);
    throws(
      () => own.memories.openRead(kept.memory.capability!, { offset: 0, length: 0 }),
      FractoryError,
      { reason: 'STALE_OWNER' },
    );
    own.objects.begin(0n);
    throws(() => own.keep(10), FractoryError, { reason: 'NOT_REGISTERED' });
    kept.free();
  });

  test('the capability of an operation is not for a memory', async () => {
    await using own = new Own();
    const reply = own.objects.addReply(() => undefined);
    throws(() => own.memories.openRead(reply.success, { offset: 0, length: 0 }), FractoryError, {
      reason: 'CAPABILITY_DENIED',
    });
    reply.revoke();
  });

  test('closing frees all and waits for what is disposed of slowly', async () => {
    await using own = new Own();
    let disposed = false;
    const slow = new BufferContent(pattern(1));
    slow[Symbol.asyncDispose] = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      disposed = true;
    };
    own.keep(slow);
    await own.memories.close();
    assert.ok(disposed);
  });
});
