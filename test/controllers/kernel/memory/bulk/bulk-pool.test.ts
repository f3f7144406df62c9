import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';

import {
  encodeFrame,
  frameHeader,
  FrameParser,
} from '../../../../../controllers/kernel/memory/bulk/framing.js';
import {
  beginFrame,
  endFrame,
  greetingFrame,
} from '../../../../../controllers/kernel/memory/bulk/messages.js';
import { cancelled, deadlineExceeded, FractoryError } from '../../../../../runtime/errors.js';
import { Authority } from '../../../../end-to-end/authority.js';
import type { Certificate } from '../../../../end-to-end/authority.js';
import { assert, rejects, suite } from '../../../../suite.js';
import { pattern } from '../sites.js';
import { greetingOf, RawReader, RawServer, Reading, Served } from './ends.js';

const MIB = 1024 * 1024;
const opensslMissing = await Authority.whyNot();
const lost = { reason: 'OWNER_LOST' } as const;

/** Calls `answer` for each read that arrives. */
function onRead(socket: Socket, answer: () => void): void {
  const parser = new FrameParser({
    room: (_kind, length) => Buffer.alloc(length),
    frame: (kind) => {
      if (kind === 'read') answer();
    },
  });
  socket.on('data', (bytes: Buffer) => parser.feed(bytes));
}

/** A server that greets and answers every read with these bytes. */
function answering(...answer: readonly Uint8Array[]): Promise<RawServer> {
  return RawServer.start((socket) => {
    socket.write(greetingFrame(greetingOf('math-1')));
    onRead(socket, () => socket.write(Buffer.concat(answer)));
  });
}

const chunk = (bytes: number): Buffer => encodeFrame('chunk', Buffer.alloc(bytes, 1));
const end = (bytes: number): Buffer =>
  endFrame({ sizeBytes: BigInt(bytes), sha256: new Uint8Array(0) });

suite('the reading end of the bulk data path', (test) => {
  test('an answer is read whatever its chunks are', async () => {
    await using server = await answering(beginFrame(6), chunk(1), chunk(2), chunk(3), end(6));
    await using reading = new Reading();
    assert.equal(await reading.read(server.peer, 6), Buffer.alloc(6, 1));
    assert.equal(await reading.read(server.peer, 6), Buffer.alloc(6, 1));
    assert.is(server.accepted, 1);
  });

  test('what is not understood is OWNER_LOST, with a line in the log', async () => {
    for (const [what, answer] of Object.entries({
      garbage: [Buffer.from('HTTP/1.1 400 Bad Request')],
      'a chunk before the begin': [chunk(6)],
      'more than was announced': [beginFrame(6), chunk(4), chunk(3)],
      'less than was announced': [beginFrame(6), chunk(4), end(4)],
      'another end than what came': [beginFrame(6), chunk(6), end(7)],
      'too long a chunk': [beginFrame(6), frameHeader('chunk', 2 * MIB)],
      'a read': [encodeFrame('read', Buffer.alloc(1))],
      'a status that is not readable': [encodeFrame('status', Buffer.from([255, 255]))],
    })) {
      await using server = await answering(...answer);
      await using reading = new Reading();
      await rejects(reading.read(server.peer, 6), FractoryError, lost);
      assert.is(reading.lines.length, 1, what);
      assert.is(reading.pool.connections <= 1, true);
    }
  });

  test('an end after the end is noticed too', async () => {
    await using server = await answering(beginFrame(1), chunk(1), end(1), end(1));
    await using reading = new Reading();
    await reading.read(server.peer, 1);
    while (reading.pool.connections > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.is(reading.lines.length, 1);
  });

  test('whoever answers at the address must be the member meant, in its present life', async () => {
    for (const greeting of [
      greetingOf('math-2'),
      greetingOf('math-1', 2n),
      { ...greetingOf('math-1'), key: Buffer.alloc(32, 6) },
    ]) {
      await using server = await RawServer.start((socket) => {
        socket.write(greetingFrame(greeting));
      });
      await using reading = new Reading();
      await rejects(reading.read(server.peer, 6), FractoryError, lost);
    }
  });

  test('nobody there, or nobody who speaks, is OWNER_LOST', async () => {
    await using reading = new Reading();
    const gone = await RawServer.start(() => undefined);
    const { peer } = gone;
    await rejects(reading.read(peer, 6), FractoryError, lost);
    await gone[Symbol.asyncDispose]();
    await rejects(reading.read(peer, 6), FractoryError, lost);
  });

  test('a peer that admits and then dies, or stops half-way, is OWNER_LOST', async () => {
    await using stalling = await answering(beginFrame(6), chunk(4));
    await using reading = new Reading();
    const stalled = await rejects(reading.read(stalling.peer, 6), FractoryError, lost);
    assert.match(stalled.message, /nothing for too long/);
    await using dying = await RawServer.start((socket) => {
      socket.write(greetingFrame(greetingOf('math-1')));
      onRead(socket, () => {
        socket.write(beginFrame(6));
        socket.end();
      });
    });
    await rejects(reading.read(dying.peer, 6), FractoryError, lost);
    // Also inside a frame.
    await using cutting = await answering(beginFrame(6), frameHeader('chunk', 6), Buffer.alloc(3));
    await rejects(reading.read(cutting.peer, 6), FractoryError, lost);
  });

  test("the caller's own deadline and cancel end a read with their reason", async () => {
    await using server = await answering(beginFrame(6), chunk(4));
    await using reading = new Reading({ stallMs: 10_000 });
    for (const reason of [cancelled(), deadlineExceeded('enough')]) {
      const stop = new AbortController();
      setTimeout(() => {
        stop.abort(reason);
      }, 20);
      const error = await rejects(
        reading.read(server.peer, 6, undefined, stop.signal),
        FractoryError,
      );
      assert.is(error, reason);
    }
    while (reading.pool.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  test('a kept connection that the other end closed costs nothing but another', async () => {
    await using server = await RawServer.start((socket, count) => {
      socket.write(greetingFrame(greetingOf('math-1')));
      let reads = 0;
      onRead(socket, () => {
        // The first connection breaks at its second read, before any answer.
        if (count === 1 && ++reads === 2) socket.destroy();
        else socket.write(Buffer.concat([beginFrame(1), chunk(1), end(1)]));
      });
    });
    await using reading = new Reading();
    await reading.read(server.peer, 1);
    await reading.read(server.peer, 1);
    assert.is(server.accepted, 2);
  });

  test('idle connections are closed', async () => {
    await using server = await answering(beginFrame(1), chunk(1), end(1));
    await using reading = new Reading({ idleMs: 20 });
    await reading.read(server.peer, 1);
    while (reading.pool.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.is(reading.lines.length, 0);
  });

  test('beyond the bound of a peer reads wait, and a waiting one can be cancelled', async () => {
    const sockets: Socket[] = [];
    await using server = await RawServer.start((socket) => {
      socket.write(greetingFrame(greetingOf('math-1')));
      onRead(socket, () => sockets.push(socket));
    });
    await using reading = new Reading({ maxPerPeer: 1, stallMs: 10_000 });
    const asked = async (count: number): Promise<Socket> => {
      while (sockets.length < count) await new Promise((resolve) => setImmediate(resolve));
      return sockets.at(-1)!;
    };
    const answer = Buffer.concat([beginFrame(1), chunk(1), end(1)]);
    const stop = new AbortController();
    const first = reading.read(server.peer, 1);
    const cancelledOne = reading.read(server.peer, 1, undefined, stop.signal);
    const second = reading.read(server.peer, 1);
    const third = reading.read(server.peer, 1);
    assert.is(reading.pool.waiting, 3);
    stop.abort(cancelled());
    await rejects(cancelledOne, FractoryError, { reason: 'CANCELLED' });
    assert.equal([reading.pool.waiting, reading.pool.connections], [2, 1]);
    (await asked(1)).write(answer);
    await first;
    // The connection breaks under the second, and the third gets a fresh one.
    (await asked(2)).write(beginFrame(1));
    sockets[1]!.end();
    await rejects(second, FractoryError, lost);
    (await asked(3)).write(answer);
    await third;
    assert.equal([server.accepted, reading.pool.waiting], [2, 0]);
  });

  test('closing fails what is under way and what waits, and nothing is opened any more', async () => {
    await using server = await answering();
    await using reading = new Reading({ maxPerPeer: 1, stallMs: 10_000 });
    const all = [reading.read(server.peer, 1), reading.read(server.peer, 1)];
    const refused = all.map((one) => rejects(one, FractoryError, { reason: 'NODE_STOPPING' }));
    await reading.pool.close();
    await Promise.all(refused);
    await rejects(reading.read(server.peer, 1), FractoryError, { reason: 'NODE_STOPPING' });
  });

  test(
    'in mtls mode both ends show certificates, and nobody else is served',
    async () => {
      await using authority = await Authority.create();
      await using stranger = await Authority.create();
      const read = (ca: string, { certificate, key }: Certificate) => ({
        ...{ ca: readFileSync(ca), cert: readFileSync(certificate), key: readFileSync(key) },
      });
      const ours = read(authority.certificate, await authority.issue('math-1'));
      const other = read(authority.certificate, await stranger.issue('cnn-1'));
      const expired = read(authority.certificate, await authority.issue('late', -1));
      await using served = await Served.start(ours);
      const kept = served.keep(8 * MIB);
      const { capability } = kept.memory;
      await using reading = new Reading({ certificates: ours, stallMs: 5000, greetingMs: 5000 });
      const found = await reading.read(served.peer, 8 * MIB, capability);
      assert.is(Buffer.compare(found, pattern(8 * MIB)), 0);
      await using plain = new Reading();
      await rejects(plain.read(served.peer, 8 * MIB, capability), FractoryError, lost);
      await using wrong = new Reading({ certificates: other, greetingMs: 5000 });
      await rejects(wrong.read(served.peer, 8 * MIB, capability), FractoryError, lost);
      await using late = new Reading({ certificates: expired, greetingMs: 5000 });
      await rejects(late.read(served.peer, 8 * MIB, capability), FractoryError, lost);
      kept.free();
      // One that never begins to shake hands does not hold up the stop either.
      await using silent = new RawReader(served.address);
      await new Promise((resolve) => silent.socket.once('connect', resolve));
      await served.server.stop();
    },
    { skip: opensslMissing },
  );
});
