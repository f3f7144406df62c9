import fc from 'fast-check';

import {
  encodeFrame,
  FRAME_KINDS,
  frameHeader,
  FrameParser,
  FramingError,
  MAX_CHUNK_BYTES,
} from '../../../../../controllers/kernel/memory/bulk/framing.js';
import type {
  FrameKind,
  FrameTarget,
} from '../../../../../controllers/kernel/memory/bulk/framing.js';
import { assert, suite, throws } from '../../../../suite.js';

interface Frame {
  readonly kind: FrameKind;
  readonly payload: Buffer;
}

/** Keeps what it gets. */
class Kept implements FrameTarget {
  readonly frames: Frame[] = [];

  room(_kind: FrameKind, length: number): Uint8Array {
    return Buffer.alloc(length);
  }

  frame(kind: FrameKind, payload: Uint8Array): void {
    this.frames.push({ kind, payload: Buffer.from(payload) });
  }
}

const frames = fc.array(
  fc.record(
    {
      kind: fc.constantFrom(...FRAME_KINDS),
      payload: fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  ),
  { minLength: 1, maxLength: 12 },
);

const wireOf = (all: readonly Frame[]): Buffer =>
  Buffer.concat(all.map(({ kind, payload }) => encodeFrame(kind, payload)));

suite('frames of the bulk data path', (test) => {
  test('any split of the bytes parses to the same frames, pushed or pulled', () => {
    fc.assert(
      fc.property(
        frames,
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
        (all, splits) => {
          const wire = wireOf(all);
          const [pushed, pulled] = [new Kept(), new Kept()];
          const [push, pull] = [new FrameParser(pushed), new FrameParser(pulled)];
          for (let at = 0, turn = 0; at < wire.length; turn++) {
            const count = splits[turn % splits.length]!;
            push.feed(wire.subarray(at, at + count));
            at += count;
          }
          for (let at = 0, turn = 0; at < wire.length; turn++) {
            const room = pull.room();
            const count = Math.min(room.length, splits[turn % splits.length]!, wire.length - at);
            assert.ok(room.length > 0);
            room.set(wire.subarray(at, at + count));
            pull.advance(count);
            at += count;
          }
          assert.equal(pushed.frames, all);
          assert.equal(pulled.frames, all);
          assert.not.ok(push.isInside || pull.isInside);
        },
      ),
    );
  });

  test('random bytes are frames or a FramingError, and never anything else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          new FrameParser(new Kept()).feed(bytes);
        } catch (error) {
          assert.instance(error, FramingError);
        }
      }),
    );
  });

  test('feeding stops after the frame that says so', () => {
    const kept = new Kept();
    const parser = new FrameParser(kept);
    const wire = wireOf([
      { kind: 'chunk', payload: Buffer.from('one') },
      { kind: 'chunk', payload: Buffer.from('two') },
    ]);
    const taken = parser.feed(wire, () => kept.frames.length === 1);
    assert.is(taken, wire.length / 2);
    parser.feed(wire.subarray(taken));
    assert.is(kept.frames.length, 2);
  });

  test('payloads lie in the memory that was lent for them', () => {
    const lent = Buffer.alloc(4);
    const parser = new FrameParser({
      room: () => lent,
      frame: (_kind, payload) => {
        assert.is(payload, lent);
      },
    });
    parser.feed(encodeFrame('chunk', Buffer.from('data')));
    assert.is(lent.toString(), 'data');
  });

  test('unknown kinds and frames that are too long are refused before memory is lent for them', () => {
    const target: FrameTarget = {
      room: () => {
        throw new Error('nothing is lent');
      },
      frame: () => {
        throw new Error('no frame is complete');
      },
    };
    for (const [kind, length] of [
      ['chunk', MAX_CHUNK_BYTES + 1],
      ['hello', 1025],
      ['begin', 9],
      ['status', 2 ** 32 - 1],
    ] as const)
      throws(() => new FrameParser(target).feed(frameHeader(kind, length)), FramingError);
    for (const garbage of [0, 7, 71, 255])
      throws(() => new FrameParser(target).feed(Buffer.from([garbage, 0, 0, 0, 1])), FramingError);
  });
});
