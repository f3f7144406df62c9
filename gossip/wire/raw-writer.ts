const FIRST_BYTES = 256;
const RAW_8_LIMIT = 32;
/** To copy so few one by one costs less than a call. */
const SHORT_BYTES = 64;
const RAW_16_LIMIT = 65_536;

/**
 * Writes MessagePack as go-msgpack does without its extensions: text and bytes alike as raw, in the shortest of the three forms of the old specification;
 * never str 8, never bin; floats and 64-bit integers only where they are asked for. https://github.com/msgpack/msgpack/blob/master/spec-old.md
 */
export class RawWriter {
  #bytes: Buffer;
  #length = 0;

  /** `firstBytes`: about as many as will be written; it grows where they are more. */
  constructor(firstBytes = FIRST_BYTES) {
    this.#bytes = Buffer.allocUnsafe(firstBytes);
  }

  /** Bytes that were written so far. */
  get length(): number {
    return this.#length;
  }

  /** What was written so far; a view that the next write may overwrite. */
  get written(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** A copy of what was written. */
  finish(): Uint8Array {
    return new Uint8Array(this.written);
  }

  byte(value: number): this {
    const at = this.#room(1);
    this.#bytes[at] = value;
    return this;
  }

  /** Bytes as they are. */
  bytes(bytes: Uint8Array): this {
    const { length } = bytes;
    const start = this.#room(length);
    if (length > SHORT_BYTES) this.#bytes.set(bytes, start);
    else for (let at = 0; at < length; at++) this.#bytes[start + at] = bytes[at] ?? 0;
    return this;
  }

  /** Header of a map with so many keys. */
  map(size: number): this {
    return this.#size(size, 0x80, 0xde);
  }

  /** Header of a list with so many values. */
  list(size: number): this {
    return this.#size(size, 0x90, 0xdc);
  }

  /** A number with a fraction, for coordinates of Serf: memberlist's own messages have none. */
  double(value: number): this {
    const at = this.byte(0xcb).#room(8);
    this.#bytes.writeDoubleBE(value, at);
    return this;
  }

  raw(value: string | Uint8Array): this {
    if (typeof value === 'string' && value.length < RAW_8_LIMIT && this.#rawAscii(value))
      return this;
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value;
    const { length } = bytes;
    if (length < RAW_8_LIMIT) this.byte(0xa0 | length);
    else if (length < RAW_16_LIMIT) this.byte(0xda).#uint16(length);
    else this.byte(0xdb).uint32(length);
    return this.bytes(bytes);
  }

  /** A whole number from 0 to 2^32 - 1. */
  uint(value: number): this {
    if (!Number.isInteger(value) || value < 0 || value > 0xff_ff_ff_ff)
      throw new Error(`${String(value)} is not a 32-bit number`);
    if (value < 0x80) return this.byte(value);
    if (value < 0x1_00) return this.byte(0xcc).byte(value);
    if (value < 0x1_00_00) return this.byte(0xcd).#uint16(value);
    return this.byte(0xce).uint32(value);
  }

  /** A whole number from 0 to 2^53 - 1: for our own messages, none of memberlist's is so large. */
  wide(value: number): this {
    if (value <= 0xff_ff_ff_ff) return this.uint(value);
    const at = this.byte(0xcf).#room(8);
    this.#bytes.writeBigUInt64BE(BigInt(value), at);
    return this;
  }

  boolean(value: boolean): this {
    return this.byte(value ? 0xc3 : 0xc2);
  }

  nil(): this {
    return this.byte(0xc0);
  }

  /** Four bytes, the highest first. */
  uint32(value: number): this {
    return this.#uint16(value >>> 16).#uint16(value & 0xff_ff);
  }

  /** Text of a byte each, as most names are, without bytes of its own; false where it is none, and nothing was written. */
  #rawAscii(text: string): boolean {
    const { length } = text;
    const head = this.#room(1 + length);
    this.#bytes[head] = 0xa0 | length;
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x7f) {
        this.#length = head;
        return false;
      }
      this.#bytes[head + 1 + at] = code;
    }
    return true;
  }

  /** `small`: head of up to 15, `large`: of 16 bits, the next one of 32. */
  #size(size: number, small: number, large: number): this {
    if (size < 16) return this.byte(small | size);
    if (size < 65_536) return this.byte(large).#uint16(size);
    return this.byte(large + 1).uint32(size);
  }

  #uint16(value: number): this {
    const at = this.#room(2);
    this.#bytes[at] = value >>> 8;
    this.#bytes[at + 1] = value & 0xff;
    return this;
  }

  /** Makes room and returns where it is. */
  #room(bytes: number): number {
    const at = this.#length;
    const length = at + bytes;
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#bytes.length));
      larger.set(this.written);
      this.#bytes = larger;
    }
    this.#length = length;
    return at;
  }
}
