import fc from 'fast-check';

import { BulkInput } from '../../../../../controllers/kernel/memory/bulk/bulk-input.js';
import { encodeFrame, FrameParser } from '../../../../../controllers/kernel/memory/bulk/framing.js';
import { assert, suite } from '../../../../suite.js';

/** Frames that say in their payload which one they are; the reader pauses after every second. */
function input(pauseEvery: number) {
  const found: string[] = [];
  let lent = Buffer.alloc(0);
  const parser: FrameParser = new FrameParser({
    room: (_kind, length) => {
      assert.not.ok(paused(), 'nothing is lent while reading pauses');
      lent = Buffer.alloc(length);
      return lent;
    },
    frame: (_kind, payload) => {
      found.push(Buffer.from(payload).toString());
      if (found.length % pauseEvery === 0) made.pause();
    },
  });
  const made = new BulkInput(parser);
  const paused = (): boolean => made.isPaused;
  return { made, found };
}

const wire = Buffer.concat(
  Array.from({ length: 20 }, (_, index) =>
    encodeFrame('chunk', Buffer.from(`frame ${String(index)}`)),
  ),
);
const expected = Array.from({ length: 20 }, (_, index) => `frame ${String(index)}`);

suite('what a socket reads into', (test) => {
  test('all frames come in order, however the bytes are split and whatever comes in a pause', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 9 }),
        // How many more reads a paused socket does before it stops, as TLS may.
        fc.integer({ min: 0, max: 3 }),
        (pauseEvery, splits, overshoot) => {
          const { made, found } = input(pauseEvery);
          let more = overshoot;
          for (let at = 0, turn = 0; at < wire.length; turn++) {
            const lent = made.lend();
            const count = Math.min(
              ...[lent.length, splits[turn % splits.length]!, wire.length - at],
            );
            lent.set(wire.subarray(at, at + count));
            at += count;
            if (made.take(count, lent) || more-- > 0) continue;
            while (!made.resume());
            more = overshoot;
          }
          while (!made.resume());
          assert.equal(found, expected);
        },
      ),
    );
  });

  test('a chunk arrives in the memory that was lent for it', () => {
    const target = Buffer.alloc(4);
    const made = new BulkInput(new FrameParser({ room: () => target, frame: () => undefined }));
    const frame = encodeFrame('chunk', Buffer.from('data'));
    const header = made.lend();
    assert.is(header.length, 5);
    header.set(frame.subarray(0, 5));
    assert.ok(made.take(5, header));
    const lent = made.lend();
    assert.is(lent.buffer, target.buffer);
    assert.equal([lent.byteOffset, lent.length], [target.byteOffset, 4]);
  });
});
