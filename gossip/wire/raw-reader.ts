import { isUtf8 } from 'node:buffer';

import type { ByteSlabs } from './byte-slabs.js';
import { MAX_LISTED_BYTES, MAX_VALUE_DEPTH } from './limits.js';
import { malformed, WireError } from './wire-error.js';

/** What stands for bytes that are no UTF-8. */
const REPLACEMENT = '\ufffd';
/** To copy so few one by one costs less than a call. */
const SHORT_BYTES = 64;

/**
 * Reads MessagePack of both generations from bytes that may end anywhere: what is missing is told by a `truncated` WireError, and `offset` says how
 * far what was read reaches. Text is taken as it is: addresses and tags are bytes in the same clothes.
 */
export class RawReader {
  readonly #bytes: Buffer;
  readonly #slabs: ByteSlabs | undefined;
  /** Where the text or bytes that were opened last begin. */
  #start = 0;
  offset: number;

  /** `slabs`: for copies, where many are kept. Default: each has a buffer of its own. */
  constructor(bytes: Uint8Array, offset = 0, slabs?: ByteSlabs) {
    this.#slabs = slabs;
    this.#bytes = Buffer.isBuffer(bytes)
      ? bytes
      : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.offset = offset;
  }

  get left(): number {
    return this.#bytes.length - this.offset;
  }

  byte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  /** A view of the next bytes. */
  bytes(length: number): Uint8Array {
    const at = this.#take(length);
    return this.#bytes.subarray(at, at + length);
  }

  uint32(): number {
    return this.#uint16() * 0x1_00_00 + this.#uint16();
  }

  /** Passes over these very bytes, if they are what comes next; whether they were. */
  skipThese(these: Uint8Array): boolean {
    if (these.length > this.left || !this.#areAt(this.offset, these)) return false;
    this.offset += these.length;
    return true;
  }

  /** How many keys and values follow. */
  mapSize(maxSize: number): number {
    const head = this.byte();
    const size = this.#sizeOf(head, 0x80, 0xde);
    if (size === undefined) throw malformed(`expected a map, found ${hex(head)}`);
    if (size > maxSize)
      throw new WireError('too_large', `a map of ${String(size)} keys, at most ${String(maxSize)}`);
    return size;
  }

  /** How many values follow; nothing is none. */
  listSize(maxSize: number): number {
    const head = this.byte();
    const size = head === 0xc0 ? 0 : this.#sizeOf(head, 0x90, 0xdc);
    if (size === undefined) throw malformed(`expected a list, found ${hex(head)}`);
    if (size > maxSize)
      throw new WireError(
        'too_large',
        `a list of ${String(size)} values, at most ${String(maxSize)}`,
      );
    return size;
  }

  /** Passes over nothing, if that is what comes next; whether it was. */
  skipNil(): boolean {
    this.#need(1);
    if (this.#bytes[this.offset] !== 0xc0) return false;
    this.offset++;
    return true;
  }

  /** Any number that is finite. */
  double(): number {
    const head = this.byte();
    const value = this.#number(head);
    if (value === undefined) throw malformed(`expected a number, found ${hex(head)}`);
    if (!Number.isFinite(value)) throw malformed(`${String(value)} is not finite`);
    return value;
  }

  /** Refuses what is no UTF-8: read and written again it would be another name, and a longer one. */
  text(maxBytes: number): string {
    const listed = this.#open(maxBytes);
    const bytes = listed ? Buffer.from(listed) : this.#bytes;
    const [start, end] = listed ? [0, listed.length] : [this.#start, this.offset];
    const text = bytes.toString('utf8', start, end);
    if (text.includes(REPLACEMENT) && !isUtf8(bytes.subarray(start, end)))
      throw malformed('text that is no UTF-8');
    return text;
  }

  /** As `raw`, but bytes of their own: those that are `known` where they are the same. */
  copy(maxBytes: number, known?: Uint8Array): Uint8Array {
    const listed = this.#open(maxBytes);
    if (listed) return listed;
    const [start, length] = [this.#start, this.offset - this.#start];
    if (known?.length === length && this.#areAt(start, known)) return known;
    if (length > SHORT_BYTES) return new Uint8Array(this.#bytes.subarray(start, this.offset));
    const copied = this.#slabs?.take(length) ?? new Uint8Array(length);
    for (let at = 0; at < length; at++) copied[at] = this.#bytes[start + at] ?? 0;
    return copied;
  }

  /** Text, bytes, nothing or a list of small numbers: all of them are bytes. A view. */
  raw(maxBytes: number): Uint8Array {
    return this.#open(maxBytes) ?? this.#bytes.subarray(this.#start, this.offset);
  }

  /** Passes over text or bytes, which lie from `#start` on then, without a view of them: views are heavy. What is a list or nothing is returned instead. */
  #open(maxBytes: number): Uint8Array | undefined {
    const head = this.byte();
    if (head === 0xc0) return new Uint8Array();
    const length = this.#rawLength(head);
    if (length !== undefined) {
      if (length > maxBytes) throw tooLong(length, maxBytes);
      this.#start = this.#take(length);
      return undefined;
    }
    const count = this.#sizeOf(head, 0x90, 0xdc);
    if (count === undefined) throw malformed(`expected bytes, found ${hex(head)}`);
    const most = Math.min(maxBytes, MAX_LISTED_BYTES);
    if (count > most) throw tooLong(count, most);
    return Uint8Array.from({ length: count }, () => this.uint(0xff));
  }

  /** A whole number, however it is written. */
  uint(max: number): number {
    const head = this.byte();
    const value = head === 0xc0 ? 0 : this.#number(head);
    if (value === undefined) throw malformed(`expected a number, found ${hex(head)}`);
    if (!Number.isInteger(value) || value < 0 || value > max)
      throw malformed(`${String(value)} is not a whole number from 0 to ${String(max)}`);
    return value;
  }

  boolean(): boolean {
    const head = this.byte();
    if (head === 0xc0 || head === 0xc2) return false;
    if (head === 0xc3) return true;
    throw malformed(`expected true or false, found ${hex(head)}`);
  }

  /** Passes over one value of any type. */
  skip(depth = 0): void {
    if (depth > MAX_VALUE_DEPTH) throw malformed('values are nested too deep');
    const head = this.byte();
    if (head === 0xc0 || head === 0xc2 || head === 0xc3) return;
    const length = this.#rawLength(head) ?? extensionLength(head, () => this.#length(head));
    if (length !== undefined) {
      this.#take(length);
      return;
    }
    const pairs = this.#sizeOf(head, 0x80, 0xde);
    const values = pairs === undefined ? this.#sizeOf(head, 0x90, 0xdc) : 2 * pairs;
    if (values !== undefined) {
      // Each value takes a byte at least: what can't be there is not gone through.
      this.#need(values);
      for (let value = 0; value < values; value++) this.skip(depth + 1);
    } else if (this.#number(head) === undefined)
      throw malformed(`no value begins with ${hex(head)}`);
  }

  /** Undefined = it is no number. */
  #number(head: number): number | undefined {
    if (head < 0x80) return head;
    if (head >= 0xe0) return head - 0x100;
    const bytes = this.#bytes;
    switch (head) {
      case 0xca:
        return bytes.readFloatBE(this.#take(4));
      case 0xcb:
        return bytes.readDoubleBE(this.#take(8));
      case 0xcc:
        return this.byte();
      case 0xcd:
        return this.#uint16();
      case 0xce:
        return this.uint32();
      case 0xcf:
        return Number(bytes.readBigUInt64BE(this.#take(8)));
      case 0xd0:
        return bytes.readInt8(this.#take(1));
      case 0xd1:
        return bytes.readInt16BE(this.#take(2));
      case 0xd2:
        return bytes.readInt32BE(this.#take(4));
      case 0xd3:
        return Number(bytes.readBigInt64BE(this.#take(8)));
      default:
        return undefined;
    }
  }

  /** Length of text or bytes; undefined = it is neither. */
  #rawLength(head: number): number | undefined {
    if (head >= 0xa0 && head < 0xc0) return head - 0xa0;
    if (head === 0xc4 || head === 0xd9) return this.byte();
    if (head === 0xc5 || head === 0xda) return this.#uint16();
    if (head === 0xc6 || head === 0xdb) return this.uint32();
    return undefined;
  }

  /** Length that stands before an extension. */
  #length(head: number): number {
    if (head === 0xc7) return this.byte();
    return head === 0xc8 ? this.#uint16() : this.uint32();
  }

  /** Of a map or a list; undefined = it is none. `small`: head of those with up to 15, `large`: of those with 16 bits, the next one 32. */
  #sizeOf(head: number, small: number, large: number): number | undefined {
    if (head >= small && head < small + 16) return head - small;
    if (head === large) return this.#uint16();
    return head === large + 1 ? this.uint32() : undefined;
  }

  #uint16(): number {
    const at = this.#take(2);
    return ((this.#bytes[at] ?? 0) << 8) | (this.#bytes[at + 1] ?? 0);
  }

  #areAt(start: number, these: Uint8Array): boolean {
    for (let at = 0; at < these.length; at++)
      if (this.#bytes[start + at] !== these[at]) return false;
    return true;
  }

  /** Passes over so many bytes and returns where they begin. */
  #take(length: number): number {
    this.#need(length);
    const at = this.offset;
    this.offset += length;
    return at;
  }

  #need(length: number): void {
    if (length <= this.left) return;
    const needed = this.offset + length;
    const text = `${String(needed)} bytes are needed, ${String(this.#bytes.length)} are there`;
    throw new WireError('truncated', text, needed);
  }
}

/** With the byte that says which extension it is; undefined = it is none. */
function extensionLength(head: number, length: () => number): number | undefined {
  if (head >= 0xc7 && head <= 0xc9) return 1 + length();
  return head >= 0xd4 && head <= 0xd8 ? 1 + 2 ** (head - 0xd4) : undefined;
}

function tooLong(length: number, maxBytes: number): WireError {
  return new WireError('too_large', `${String(length)} bytes, at most ${String(maxBytes)}`);
}

function hex(byte: number): string {
  return `0x${byte.toString(16).padStart(2, '0')}`;
}
