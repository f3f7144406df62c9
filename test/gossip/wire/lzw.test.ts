import sharp from 'sharp';

import { seededRandom } from '../../../runtime/seeded-random.js';
import { LzwDecoder, unpack } from '../../../gossip/wire/lzw-decoder.js';
import { LzwEncoder, pack } from '../../../gossip/wire/lzw-encoder.js';
import { WireError } from '../../../gossip/wire/wire-error.js';
import { assert, suite } from '../../suite.js';

const MAX = 64 * 1024 ** 2;

/** Bytes of which some repeat, so that the table fills at different speeds. */
function corpus(): Map<string, Uint8Array> {
  const random = seededRandom(7);
  const noise = Uint8Array.from({ length: 70_000 }, () => Math.floor(random() * 256));
  const few = noise.map((byte) => byte % 3);
  const words = Buffer.from('node-17 10.0.0.17 7946 alive; '.repeat(9000));
  return new Map<string, Uint8Array>([
    ['nothing', new Uint8Array()],
    ['one byte', Uint8Array.of(255)],
    ['the same byte', new Uint8Array(100_000)],
    ['noise, which fills the table at its fastest', noise],
    ['few different bytes', few],
    ['words', words],
    ['every byte once', Uint8Array.from({ length: 256 }, (_, byte) => byte)],
  ]);
}

suite('lzw', (test) => {
  test('what was packed is unpacked to the same bytes, at once and in steps', () => {
    for (const [name, bytes] of corpus()) {
      const packed = pack(bytes);
      assert.equal(Buffer.from(unpack(packed, MAX)), Buffer.from(bytes), name);
      const encoder = new LzwEncoder(bytes);
      let stepped = encoder.step(1000);
      for (; !stepped; stepped = encoder.step(1000));
      assert.equal(Buffer.from(stepped), Buffer.from(packed), name);
      const decoder = new LzwDecoder(packed, MAX);
      while (!decoder.step(100));
      assert.equal(Buffer.from(decoder.taken(0)), Buffer.from(bytes), name);
      const inPieces = new LzwDecoder(packed, MAX, 100);
      const pieces: Uint8Array[] = [];
      for (let isDone = false; !isDone; pieces.push(inPieces.taken(100)))
        isDone = inPieces.step(100);
      assert.equal(Buffer.concat(pieces), Buffer.from(bytes), name);
    }
  });

  test('text that repeats becomes a tenth', () => {
    const words = corpus().get('words') ?? new Uint8Array();
    assert.ok(pack(words).length < words.length / 10);
  });

  test('the pixels of a GIF, packed by somebody else in the same variant, are unpacked', async () => {
    const [width, height] = [97, 83];
    const random = seededRandom(3);
    const rgb = Uint8Array.from({ length: 3 * width * height }, () => Math.floor(random() * 256));
    const gif = await sharp(rgb, { raw: { width, height, channels: 3 } })
      .gif({ colours: 256, dither: 0, effort: 1 })
      .toBuffer();
    const { palette, packed } = partsOfGif(gif);
    const indexes = unpack(packed, MAX);
    assert.is(indexes.length, width * height);
    const shown = await sharp(gif).removeAlpha().raw().toBuffer();
    const painted = Buffer.concat([...indexes].map((at) => palette.subarray(3 * at, 3 * at + 3)));
    assert.equal(painted, shown);
  });

  test('a bomb ends at the limit', () => {
    const bomb = pack(new Uint8Array(10 * 1024 ** 2));
    assert.ok(bomb.length < 64 * 1024);
    assert.throws(
      () => unpack(bomb, 1024 ** 2),
      (error: unknown) => error instanceof WireError && error.problem === 'too_large',
    );
    // However often what came out is taken.
    const decoder = new LzwDecoder(bomb, 1024 ** 2, 100);
    assert.throws(
      () => {
        while (!decoder.step(100)) decoder.taken(100);
      },
      (error: unknown) => error instanceof WireError && error.problem === 'too_large',
    );
  });

  test('bytes that nobody packed are understood or a WireError', () => {
    const random = seededRandom(11);
    for (let round = 0; round < 3000; round++) {
      const length = Math.floor(random() * 200);
      const bytes = Uint8Array.from({ length }, () => Math.floor(random() * 256));
      // Begins as packed bytes do, or else most would end at once.
      if (length > 1) bytes[1] = (bytes[1] ?? 0) | 1;
      if (length > 0 && round % 2) bytes[0] = 0;
      try {
        unpack(bytes, 1024 ** 2);
      } catch (error) {
        assert.ok(error instanceof WireError, String(error));
      }
    }
  });
});

/** Palette of a GIF of one picture, and what its blocks have in them. */
function partsOfGif(gif: Buffer): { palette: Buffer; packed: Buffer } {
  const sizeOf = (flags: number): number => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0);
  let at = 13;
  let palette = gif.subarray(at, at + sizeOf(gif[10] ?? 0));
  at += palette.length;
  const blocks = (): Buffer[] => {
    const found: Buffer[] = [];
    for (let length = gif[at++] ?? 0; length > 0; length = gif[at++] ?? 0) {
      found.push(gif.subarray(at, at + length));
      at += length;
    }
    return found;
  };
  for (;;) {
    const kind = gif[at++];
    if (kind === 0x21) {
      at++;
      blocks();
    } else if (kind === 0x2c) {
      const flags = gif[at + 8] ?? 0;
      at += 9;
      if (sizeOf(flags) > 0) palette = gif.subarray(at, at + sizeOf(flags));
      at += sizeOf(flags);
      assert.is(gif[at++], 8);
      return { palette, packed: Buffer.concat(blocks()) };
    } else throw new Error(`no part of a GIF begins with ${String(kind)}`);
  }
}
