import { CODES, LAST_WIDTH, NONE } from './lzw-codes.js';

const LAST_CODE = CODES - 1;
/** Slots for each entry that may come. */
const SLOTS_EACH = 4;
/** 2^32 by the golden ratio: keys that are alike get slots far apart. */
const SPREAD = 0x9e_37_79_b1;

/** The entries that an encoder has made: each is another one, or a byte alone, and a byte behind it. */
export class LzwTable {
  /** By slot: prefix code, byte, and the code of both, in 12, 8 and 12 bits; 0, which none has, where it is empty. */
  readonly #slots: Int32Array;
  readonly #shift: number;
  /** Of what was looked for last. */
  #key = 0;
  #slot = 0;

  /** For input of so many bytes: of little there are few entries. */
  constructor(inputBytes: number) {
    const bits = Math.ceil(Math.log2(SLOTS_EACH * Math.min(CODES, inputBytes + 1)));
    this.#slots = new Int32Array(2 ** bits);
    this.#shift = 32 - bits;
  }

  /** The code of this one with a byte more; NONE where there is none. */
  after(code: number, byte: number): number {
    const key = (code << 8) | byte;
    const last = this.#slots.length - 1;
    let slot = Math.imul(key, SPREAD) >>> this.#shift;
    let found = this.#slots[slot] ?? 0;
    while (found !== 0 && found >>> LAST_WIDTH !== key) {
      slot = (slot + 1) & last;
      found = this.#slots[slot] ?? 0;
    }
    this.#key = key;
    this.#slot = slot;
    return found === 0 ? NONE : found & LAST_CODE;
  }

  /** Adds what was looked for last and isn't there. */
  add(code: number): void {
    this.#slots[this.#slot] = (this.#key << LAST_WIDTH) | code;
  }

  clear(): void {
    this.#slots.fill(0);
  }

  /** By code: that of the entry without its last byte, and that byte, together. */
  entries(): Uint32Array {
    const entries = new Uint32Array(CODES);
    for (const found of this.#slots) entries[found & LAST_CODE] = found >>> LAST_WIDTH;
    return entries;
  }
}
