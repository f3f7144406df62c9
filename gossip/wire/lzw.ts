import { malformed, WireError } from './wire-error.js';

/**
 * LZW in the variant of GIF and PDF that Go calls "LSB, literal width 8": codes of 9 to 12 bits, the lowest bit first; 256 clears the table, 257 ends. The code width
 * grows when the table is full for it, not one code earlier. Both directions work in steps, so that much data never holds the event loop.
 */
const CLEAR = 256;
const END = 257;
const FIRST_WIDTH = 9;
const LAST_WIDTH = 12;
const CODES = 1 << LAST_WIDTH;
const NONE = -1;
/** To write 2^4 = 16 bytes takes about as long as to read a code: of a bomb, each code stands for thousands. */
const BYTES_OF_CODE_BITS = 4;

/** Bytes that can be appended to, up to a limit. */
class Output {
  readonly #maxBytes: number;
  #bytes: Uint8Array;
  length = 0;

  constructor(firstBytes: number, maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#bytes = new Uint8Array(Math.min(firstBytes, maxBytes));
  }

  /** Makes room for so many more and returns where it begins. */
  room(bytes: number): Uint8Array {
    const length = this.length + bytes;
    if (length > this.#maxBytes)
      throw new WireError('too_large', `more than ${String(this.#maxBytes)} bytes when unpacked`);
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(
        Math.min(this.#maxBytes, Math.max(length, 2 * this.#bytes.length)),
      );
      larger.set(this.#bytes.subarray(0, this.length));
      this.#bytes = larger;
    }
    this.length = length;
    return this.#bytes;
  }

  /** Bytes of memory that it takes. */
  get heldBytes(): number {
    return this.#bytes.length;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }
}

/** Unpacks, a step at a time. */
export class LzwDecoder {
  readonly #input: Uint8Array;
  readonly #output: Output;
  readonly #suffix = new Uint8Array(CODES);
  readonly #prefix = new Uint16Array(CODES);
  /** How many bytes a code stands for. */
  readonly #size = new Uint16Array(CODES).fill(1, 0, CLEAR);
  #at = 0;
  #bits = 0;
  #bitCount = 0;
  #width = FIRST_WIDTH;
  /** The code that the next entry of the table gets. Invariant: below 2^width while a wider one could follow. */
  #next = END;
  #last = NONE;
  #toldBytes = 0;

  constructor(input: Uint8Array, maxBytes: number) {
    this.#input = input;
    this.#output = new Output(4 * input.length, maxBytes);
  }

  /** Takes so many codes at most, fewer where they stand for many bytes; returns what was unpacked once all is. Throws a WireError. */
  step(codes: number): Uint8Array | undefined {
    for (let left = codes; left > 0;) {
      const before = this.#output.length;
      const code = this.#read();
      if (code === END) return this.#output.finish();
      if (code === CLEAR) this.#clear();
      else this.#take(code);
      left -= 1 + ((this.#output.length - before) >> BYTES_OF_CODE_BITS);
    }
    return undefined;
  }

  /** Bytes that were unpacked so far. */
  get length(): number {
    return this.#output.length;
  }

  /** Memory that it took since this was asked last, bytes. */
  grown(): number {
    const { heldBytes } = this.#output;
    const grown = heldBytes - this.#toldBytes;
    this.#toldBytes = heldBytes;
    return grown;
  }

  #clear(): void {
    this.#width = FIRST_WIDTH;
    this.#next = END;
    this.#last = NONE;
  }

  #take(code: number): void {
    const isNew = code === this.#next && this.#last !== NONE;
    if (code > this.#next || (code > END && code === this.#next && !isNew))
      throw malformed(`code ${String(code)} comes before its place in the table`);
    // An entry that is used as it is made is the last one and its own first byte again.
    const first = isNew ? this.#write(this.#last, 1) : this.#write(code, 0);
    if (this.#last !== NONE && this.#next < CODES) {
      this.#suffix[this.#next] = first;
      this.#prefix[this.#next] = this.#last;
      this.#size[this.#next] = (this.#size[this.#last] ?? 0) + 1;
    }
    this.#last = code;
    this.#next++;
    if (this.#next < 1 << this.#width) return;
    if (this.#width < LAST_WIDTH) this.#width++;
    else {
      // The table is full: no more entries until it is cleared.
      this.#last = NONE;
      this.#next--;
    }
  }

  /** Appends what a code stands for, and its first byte so many times more; returns the first byte. */
  #write(code: number, again: number): number {
    const size = this.#size[code] ?? 0;
    const bytes = this.#output.room(size + again);
    const end = this.#output.length - again;
    let rest = code;
    let at = end - 1;
    for (; rest > END; rest = this.#prefix[rest] ?? 0) bytes[at--] = this.#suffix[rest] ?? 0;
    bytes[at] = rest;
    if (again > 0) bytes[end] = rest;
    return rest;
  }

  #read(): number {
    while (this.#bitCount < this.#width) {
      const byte = this.#input[this.#at++];
      if (byte === undefined) throw malformed('packed data without an end');
      this.#bits |= byte << this.#bitCount;
      this.#bitCount += 8;
    }
    const code = this.#bits & ((1 << this.#width) - 1);
    this.#bits >>>= this.#width;
    this.#bitCount -= this.#width;
    return code;
  }
}

/** Slots of the encoder's table: four for each code. */
const SLOTS = 4 * CODES;

/** Packs, a step at a time. */
export class LzwEncoder {
  readonly #input: Uint8Array;
  readonly #output: Output;
  /** By slot, what it holds: prefix code and byte together, and the code of that. Those of older generations are empty. */
  readonly #keys = new Int32Array(SLOTS).fill(NONE);
  readonly #codes = new Uint16Array(SLOTS);
  #at = 0;
  #bits = 0;
  #bitCount = 0;
  #width = FIRST_WIDTH;
  #next = END;
  #code = NONE;

  constructor(input: Uint8Array) {
    this.#input = input;
    this.#output = new Output(input.length, 2 * input.length + 16);
  }

  /** Takes so many bytes at most; returns what was packed once all is. */
  step(bytes: number): Uint8Array | undefined {
    if (this.#at === 0) this.#write(CLEAR);
    const until = Math.min(this.#input.length, this.#at + bytes);
    while (this.#at < until) this.#take(this.#input[this.#at++] ?? 0);
    return this.#at < this.#input.length ? undefined : this.#finish();
  }

  #take(byte: number): void {
    if (this.#code === NONE) {
      this.#code = byte;
      return;
    }
    const key = (this.#code << 8) | byte;
    const slot = this.#slotOf(key);
    if (this.#keys[slot] === key) {
      this.#code = this.#codes[slot] ?? 0;
      return;
    }
    this.#write(this.#code);
    this.#code = byte;
    if (!this.#grow()) return;
    this.#keys[slot] = key;
    this.#codes[slot] = this.#next;
  }

  /** The slot of a key, or the empty one where it belongs. */
  #slotOf(key: number): number {
    let slot = ((key >>> 12) ^ key) % SLOTS;
    while (this.#keys[slot] !== NONE && this.#keys[slot] !== key) slot = (slot + 1) % SLOTS;
    return slot;
  }

  /** Counts on to the next code; false where the table was full and is empty now. */
  #grow(): boolean {
    this.#next++;
    if (this.#next === 1 << this.#width && this.#width < LAST_WIDTH) this.#width++;
    if (this.#next < CODES - 1) return true;
    this.#write(CLEAR);
    this.#width = FIRST_WIDTH;
    this.#next = END;
    this.#keys.fill(NONE);
    return false;
  }

  #finish(): Uint8Array {
    if (this.#code !== NONE) {
      this.#write(this.#code);
      this.#grow();
    }
    this.#write(END);
    if (this.#bitCount > 0) this.#put(this.#bits & 0xff);
    return this.#output.finish();
  }

  #write(code: number): void {
    this.#bits |= code << this.#bitCount;
    this.#bitCount += this.#width;
    while (this.#bitCount >= 8) {
      this.#put(this.#bits & 0xff);
      this.#bits >>>= 8;
      this.#bitCount -= 8;
    }
  }

  #put(byte: number): void {
    const bytes = this.#output.room(1);
    bytes[this.#output.length - 1] = byte;
  }
}

/** Unpacks all at once: for packets. */
export function unpack(input: Uint8Array, maxBytes: number): Uint8Array {
  return new LzwDecoder(input, maxBytes).step(Infinity) ?? new Uint8Array();
}

/** Packs all at once: for packets. */
export function pack(input: Uint8Array): Uint8Array {
  return new LzwEncoder(input).step(Infinity) ?? new Uint8Array();
}
