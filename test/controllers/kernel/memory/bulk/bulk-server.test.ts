import { Status } from '../../../../../protos/gen/google/rpc/status.js';
import { encodeFrame, frameHeader } from '../../../../../controllers/kernel/memory/bulk/framing.js';
import {
  greetingFrame,
  readFrame,
} from '../../../../../controllers/kernel/memory/bulk/messages.js';
import type { KeptMemory } from '../../../../../controllers/kernel/memory/access.js';
import { fromRpcStatus } from '../../../../../protos/status.js';
import { assert, suite } from '../../../../suite.js';
import { greetingOf, KEY, RawReader, Served } from './ends.js';

const MIB = 1024 * 1024;

function readOf({ memory: { capability } }: KeptMemory): Buffer {
  return readFrame({ capability, offset: 0n, length: 0n, sha256: true });
}

const hello = greetingFrame(greetingOf('cnn-1'));

suite('the server of the bulk data path', (test) => {
  test('one read after the other is answered on one connection', async () => {
    await using served = await Served.start();
    const kept = served.keep(MIB + 1);
    await using reader = new RawReader(served.address);
    reader.greet();
    for (let count = 1; count <= 3; count++) {
      reader.send(readOf(kept));
      const ends = (): number => reader.frames.filter((kind) => kind === 'end').length;
      while (ends() < count) await new Promise((resolve) => setImmediate(resolve));
    }
    const once = ['begin', 'chunk', 'chunk', 'chunk', 'end'];
    assert.equal(reader.frames, ['hello', ...once, ...once, ...once]);
    kept.free();
  });

  test('what is not understood closes the connection, with a line in the log and not a word', async () => {
    await using served = await Served.start();
    const otherKey = greetingFrame({ ...greetingOf('cnn-1'), key: Buffer.alloc(32, 6) });
    const elsewhere = greetingFrame({
      ...{ key: KEY, hello: { dataCenter: 'other', member: 'cnn-1', epoch: 1n } },
    });
    const kept = served.keep(10);
    for (const [what, bytes] of Object.entries({
      garbage: Buffer.from('GET / HTTP/1.1\r\n\r\n'),
      'too long a frame': frameHeader('hello', 2 ** 31),
      'a key that is not ours': otherKey,
      'another data center': elsewhere,
      'a read before the hello': readOf(kept),
      'a hello that is cut off': encodeFrame('hello', KEY.subarray(0, 5)),
      'an empty hello': encodeFrame('hello', Buffer.alloc(0)),
    })) {
      const before = served.lines.length;
      await using reader = new RawReader(served.address);
      reader.send(bytes);
      await reader.closed;
      assert.equal(reader.frames, [], what);
      assert.is(served.lines.length, before + 1, what);
    }
    for (const [what, bytes] of Object.entries({
      'a second hello': hello,
      'a chunk': encodeFrame('chunk', Buffer.from('data')),
      'an empty frame': encodeFrame('end', Buffer.alloc(0)),
      'a read that is not readable': encodeFrame('read', Buffer.from([255, 255])),
    })) {
      await using reader = new RawReader(served.address);
      reader.greet().send(bytes);
      await reader.closed;
      assert.equal(reader.frames, ['hello'], what);
    }
    await served.deserted();
    kept.free();
  });

  test('a second read before the end of the first closes the connection', async () => {
    await using served = await Served.start();
    const kept = served.keep(64 * MIB);
    await using reader = new RawReader(served.address);
    reader.greet().send(readOf(kept), readOf(kept));
    await reader.closed;
    assert.not.ok(reader.frames.includes('end'));
    await served.deserted();
    kept.free();
  });

  test('forged, revoked and missing capabilities are refused with their reason', async () => {
    await using served = await Served.start();
    const kept = served.keep(10);
    const dead = served.keep(10);
    dead.free();
    const forged = structuredClone(kept.memory.capability!);
    forged.tag[3]! ^= 1;
    await using reader = new RawReader(served.address);
    reader.greet();
    for (const [capability, reason] of [
      [forged, 'CAPABILITY_FORGED'],
      [dead.memory.capability, 'CAPABILITY_REVOKED'],
      [undefined, 'CAPABILITY_DENIED'],
      [{ ...kept.memory.capability!, epoch: 9n }, 'STALE_OWNER'],
    ] as const) {
      const count = reader.frames.length;
      reader.send(readFrame({ capability, offset: 0n, length: 0n, sha256: false }));
      while (reader.frames.length <= Math.max(count, 1))
        await new Promise((resolve) => setImmediate(resolve));
      assert.is(reader.frames.at(-1), 'status');
      const error = fromRpcStatus(Status.decode(reader.payloads.at(-1)!));
      assert.is(error.reason, reason);
    }
    kept.free();
  });

  test('a caller that says nothing is cut off', async () => {
    await using served = await Served.start();
    await using reader = new RawReader(served.address);
    await reader.closed;
    await served.deserted();
  });

  test('a reader that never reads is cut off, and holds nothing', async () => {
    await using served = await Served.start();
    const kept = served.keep(64 * MIB);
    await using reader = new RawReader(served.address);
    reader.greet().send(readOf(kept));
    reader.socket.pause();
    while (reader.socket.bytesRead === 0) await new Promise((resolve) => setImmediate(resolve));
    await served.deserted();
    assert.match(served.lines.join(), /a reader takes nothing any more/);
    kept.free();
    assert.is(served.own.count, 0);
  });

  test('a memory that is freed while its reader stalls is gone at once', async () => {
    await using served = await Served.start();
    const kept = served.keep(64 * MIB);
    await using reader = new RawReader(served.address);
    reader.greet().send(readOf(kept));
    reader.socket.pause();
    while (reader.socket.bytesRead === 0) await new Promise((resolve) => setImmediate(resolve));
    kept.free();
    assert.is(served.own.count, 0);
    await served.deserted();
  });

  test('a reader that goes in the middle leaves nothing behind', async () => {
    await using served = await Served.start();
    const kept = served.keep(64 * MIB);
    await using reader = new RawReader(served.address);
    reader.greet().send(readOf(kept));
    while (!reader.frames.includes('chunk')) await new Promise((resolve) => setImmediate(resolve));
    reader.socket.destroy();
    await served.deserted();
    kept.free();
  });
});
