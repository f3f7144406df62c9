import { CLEAR, CODES, END, FIRST_WIDTH, LAST_WIDTH, NONE } from './lzw-codes.js';
import { Output } from './output.js';
import { malformed, WireError } from './wire-error.js';

/** To write 2^4 = 16 bytes takes about as long as to read a code: of a bomb, each code stands for thousands. */
const BYTES_OF_CODE_BITS = 4;

/** Unpacks, a step at a time. What comes out may be taken in pieces: all in one would be copied as it grows, megabytes at once. */
export class LzwDecoder {
  readonly #input: Uint8Array;
  readonly #maxBytes: number;
  #output: Output;
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
  #takenBytes = 0;

  /** `firstBytes`: about as many as are unpacked before they are taken. */
  constructor(input: Uint8Array, maxBytes: number, firstBytes = 4 * input.length) {
    this.#input = input;
    this.#maxBytes = maxBytes;
    this.#output = new Output(Math.min(firstBytes, maxBytes), maxBytes);
  }

  /** Takes so many codes at most, fewer where they stand for many bytes; whether all is unpacked. Throws a WireError. */
  step(codes: number): boolean {
    for (let left = codes; left > 0;) {
      const before = this.#output.length;
      const code = this.#read();
      if (code === END) return true;
      if (code === CLEAR) this.#clear();
      else this.#take(code);
      left -= 1 + ((this.#output.length - before) >> BYTES_OF_CODE_BITS);
    }
    return false;
  }

  /** Bytes that were unpacked and not taken yet. */
  get length(): number {
    return this.#output.length;
  }

  /** Gives away what was unpacked; about `nextBytes` more follow before it is called again. */
  taken(nextBytes: number): Uint8Array {
    const bytes = this.#output.finish();
    this.#takenBytes += bytes.length;
    this.#output = new Output(nextBytes, this.#maxBytes);
    return bytes;
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
    if (this.#takenBytes + this.#output.length + size + again > this.#maxBytes)
      throw new WireError('too_large', `more than ${String(this.#maxBytes)} bytes when unpacked`);
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

/** Unpacks all at once: for packets. */
export function unpack(input: Uint8Array, maxBytes: number): Uint8Array {
  const decoder = new LzwDecoder(input, maxBytes);
  decoder.step(Infinity);
  return decoder.taken(0);
}
