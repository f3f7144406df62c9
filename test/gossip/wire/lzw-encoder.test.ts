import { CLEAR, END } from '../../../gossip/wire/lzw-codes.js';
import { unpack } from '../../../gossip/wire/lzw-decoder.js';
import { LzwEncoder, pack } from '../../../gossip/wire/lzw-encoder.js';
import { encodeMember } from '../../../gossip/wire/push-pull.js';
import { seededRandom } from '../../../runtime/seeded-random.js';
import { assert, suite } from '../../suite.js';

const MAX = 64 * 1024 ** 2;
/** Codes after which a table is full. */
const UNTIL_FULL = 4095 - END;
const random = seededRandom(17);
const below = (limit: number): number => Math.floor(random() * limit);
const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => below(256));
const hex = (): string =>
  below(2 ** 32)
    .toString(16)
    .padStart(8, '0');

/** A state of so many members. */
function members(count: number): Uint8Array {
  const each = Array.from({ length: count }, (_, place) =>
    encodeMember({
      ...{ name: `edge-${hex()}`, port: 7946, incarnation: 1 + below(3), state: 'alive' },
      address: Uint8Array.of(10, 0, place >> 8, place & 255),
      meta: Buffer.from(`role=storage,dc=site-${String(below(20))},id=${hex()}`),
      versions: Uint8Array.of(1, 5, 2, 2, 5, 5),
    }),
  );
  return Buffer.concat(each);
}

/** What a writer makes of it that always takes the longest entry, and clears a table that is full, as that of Go does: its bits. */
function packedByGo(input: Uint8Array): number {
  const table = new Map<number, number>();
  let [width, bits, next, code] = [9, 9, END, -1];
  for (const byte of input) {
    const longer = code < 0 ? byte : table.get((code << 8) | byte);
    if (longer === undefined) {
      bits += width;
      next++;
      if (next === 1 << width && width < 12) width++;
      if (next < 4095) table.set((code << 8) | byte, next);
      else {
        table.clear();
        [bits, width, next] = [bits + width, 9, END];
      }
    }
    code = longer ?? byte;
  }
  return bits + (code < 0 ? 0 : width) + width;
}

/** What a reader does that is written after Go's, code by code, and refuses what that would: the bytes, and how often a table was cleared. */
function readByGo(packed: Uint8Array): { bytes: Buffer; clears: number } {
  const out: number[] = [];
  let entries: number[][] = [];
  let [hi, width, last, clears, at, held, count] = [END, 9, -1, 0, 0, 0, 0];
  let codes = END;
  for (;;) {
    for (; count < width; count += 8) {
      assert.ok(at < packed.length, 'an end');
      held |= (packed[at++] ?? 0) << count;
    }
    const code = held & ((1 << width) - 1);
    held >>>= width;
    count -= width;
    if (code === END) return { bytes: Buffer.from(out), clears: clears - 1 };
    if (code === CLEAR) {
      [entries, hi, width, last] = [[], END, 9, -1];
      codes = END;
      clears++;
      continue;
    }
    // Readers before Go 1.9 count every code in 16 bits.
    assert.ok(++codes < 2 ** 16, 'a code that old readers can count');
    assert.ok(code <= hi, `${String(code)} is in the table`);
    const before = last < 256 ? [last] : (entries[last] ?? []);
    const isNew = code === hi && last >= 0;
    const said = isNew ? [...before, before[0] ?? 0] : code < 256 ? [code] : entries[code];
    assert.ok(said, `${String(code)} was made`);
    out.push(...said);
    if (last >= 0) entries[hi] = [...before, said[0] ?? 0];
    last = code;
    hi++;
    if (hi < 1 << width) continue;
    if (width < 12) width++;
    else [last, hi] = [-1, hi - 1];
  }
}

const corpus: readonly (readonly [string, Uint8Array])[] = [
  ['members', members(3000)],
  ['members, then noise, then members', Buffer.concat([members(900), noise(40_000), members(900)])],
  ['noise', noise(90_000)],
  ['two letters', noise(200_000).map((byte) => byte & 1)],
  ['one letter, then others between', noise(200_000).map((byte) => (byte < 3 ? byte : 0))],
  ['one letter', new Uint8Array(9_000_000)],
  ['words', Buffer.from('node-17 10.0.0.17 7946 alive; '.repeat(9000))],
];

suite('lzw encoder', (test) => {
  test('what it packs is read by a reader like that of Go, and by ours, whatever the steps', () => {
    for (const [name, bytes] of corpus.filter(([, { length }]) => length < 1_000_000)) {
      const packed = pack(bytes);
      assert.ok(readByGo(packed).bytes.equals(bytes), name);
      for (const step of [1, 777, 8192]) {
        const encoder = new LzwEncoder(bytes);
        let stepped = encoder.step(step);
        for (; !stepped; stepped = encoder.step(step));
        assert.ok(Buffer.from(stepped).equals(packed), `${name} in steps of ${String(step)}`);
      }
      assert.ok(Buffer.from(unpack(packed, MAX)).equals(bytes), name);
    }
  });

  test('of any length around a full table, and around each code that is a bit longer', () => {
    // Noise without any two bytes that come twice takes a code for each byte.
    const bytes = Uint8Array.from({ length: 4500 }, (_, at) => (at % 2 ? at >> 1 : at >> 9) & 255);
    const lengths = [0, 1, 2, 3];
    for (const around of [254, 766, 1790, UNTIL_FULL])
      for (let off = -5; off <= 5; off++) lengths.push(around + off);
    for (const length of [...lengths, 4300, 4500])
      for (const input of [bytes.subarray(0, length), noise(length)])
        assert.ok(readByGo(pack(input)).bytes.equals(input), `${String(length)} bytes`);
  });

  test('until a table is full the bytes are those of a writer that takes the longest entry', () => {
    for (const bytes of [members(10), members(100), noise(UNTIL_FULL), new Uint8Array(100_000)]) {
      const packed = pack(bytes);
      assert.is(packed.length, Math.ceil(packedByGo(bytes) / 8));
      assert.is(readByGo(packed).clears, 0);
    }
  });

  test('members take a fifth less than of a writer that clears a full table', () => {
    const bytes = members(5000);
    assert.ok(pack(bytes).length < 0.8 * (packedByGo(bytes) / 8));
  });

  test('nothing takes more', () => {
    for (const [name, bytes] of corpus) {
      const [ours, theirs] = [pack(bytes).length, packedByGo(bytes) / 8];
      assert.ok(ours <= Math.ceil(theirs) + 16, `${name}: ${String(ours)}, ${String(theirs)}`);
    }
  });

  test('a table that is full stays for as long as it packs well, and not longer than the first readers of Go count', () => {
    assert.is(readByGo(pack(members(2000))).clears, 0);
    assert.ok(readByGo(pack(Buffer.concat([members(2000), noise(20_000)]))).clears > 0);
    // More than 60,000 codes.
    assert.is(readByGo(pack(members(5000))).clears, 1);
  });

  test('seeded bytes of every kind come back', () => {
    for (let round = 0; round < 300; round++) {
      const [letters, repeats, length] = [1 + below(256), 1 + below(2000), below(30_000)];
      const tail = noise(repeats).map((byte) => byte % letters);
      const bytes = Uint8Array.from({ length }, (_, at) =>
        random() < 0.02 ? below(letters) : (tail[at % repeats] ?? 0),
      );
      assert.ok(Buffer.from(unpack(pack(bytes), MAX)).equals(bytes), `round ${String(round)}`);
    }
  });
});
