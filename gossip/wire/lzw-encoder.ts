import { CLEAR, CODES, END, FIRST_WIDTH, LAST_WIDTH, NONE } from './lzw-codes.js';
import { FullTable } from './lzw-full-table.js';
import { LzwTable } from './lzw-table.js';
import { Output } from './output.js';

/** The last code is never used: readers of Go differ in what they make of it. */
const USED_CODES = CODES - 1;
/** Bytes to pack after which it is asked whether a full table still fits. */
const LOOK_BYTES = 8192;
/** It doesn't where it packs less well than this share of its best. */
const FITS_SHARE = 0.9;
/** Packed bytes after which a full table is cleared at the next look: readers of Go before 1.9 count codes in 16 bits, and each byte until that look may be one of 12 bits. */
const MAX_FULL_BYTES = 79_000;

/**
 * Packs, a step at a time. While the table fills it takes the longest entry, as Go's writer does: what is as short as a packet becomes the same bytes. A table that is full is
 * kept, where Go's writer clears it, as long as it packs well; as it doesn't change any more, the shortest way to say all that follows can be found (FullTable).
 */
export class LzwEncoder {
  readonly #input: Uint8Array;
  readonly #output: Output;
  readonly #table: LzwTable;
  #full: FullTable | undefined;
  #at = 0;
  #bits = 0;
  #bitCount = 0;
  #width = FIRST_WIDTH;
  #next = END;
  #code = NONE;
  /** Places of input and output where the table began, or a part of it that is looked at later. */
  #partAt = 0;
  #partPackedAt = 0;
  /** Bytes that a packed one stands for: while the table filled, and at best since then. */
  #fillRatio = 0;
  #bestRatio = 0;
  /** Where the output was when the table was full. */
  #fullAt = 0;

  constructor(input: Uint8Array) {
    this.#input = input;
    this.#table = new LzwTable(input.length);
    this.#output = new Output(input.length, 2 * input.length + 16);
  }

  /** Takes so many bytes at most; returns what was packed once all is. */
  step(bytes: number): Uint8Array | undefined {
    if (this.#at === 0) this.#write(CLEAR);
    const until = Math.min(this.#input.length, this.#at + bytes);
    while (this.#at < until)
      if (!this.#full) this.#fill(until);
      else if (this.#full.link(bytes)) this.#say(this.#full, until);
      else return undefined;
    return this.#at < this.#input.length ? undefined : this.#finish();
  }

  /** Goes on until the table is full. */
  #fill(until: number): void {
    while (this.#at < until && !this.#full) {
      const byte = this.#input[this.#at++] ?? 0;
      const longer = this.#code === NONE ? byte : this.#table.after(this.#code, byte);
      if (longer === NONE) this.#add(byte);
      else this.#code = longer;
    }
  }

  /** Writes the entry that ends before this byte; with it, it is a new one. */
  #add(byte: number): void {
    this.#write(this.#code);
    this.#grow();
    if (this.#next < USED_CODES) {
      this.#table.add(this.#next);
      this.#code = byte;
      return;
    }
    // It begins anew with this byte.
    this.#at--;
    this.#code = NONE;
    this.#fillRatio = this.#ratioOfPart();
    // What became no smaller is noise, to which no table fits.
    if (this.#fillRatio < 1) {
      this.#clear();
      return;
    }
    this.#full = new FullTable(this.#table, END + 1, USED_CODES);
    this.#bestRatio = 0;
    this.#fullAt = this.#output.length;
  }

  /** Counts on to the next code. */
  #grow(): void {
    this.#next++;
    if (this.#next === 1 << this.#width && this.#width < LAST_WIDTH) this.#width++;
  }

  /** Goes on with a full table, until it fits no more. */
  #say(full: FullTable, until: number): void {
    const lookAt = this.#partAt + LOOK_BYTES;
    const end = Math.min(until, lookAt);
    while (this.#at < end) {
      const code = full.take(this.#input[this.#at++] ?? 0);
      if (code !== NONE) this.#write(code);
    }
    if (this.#at === lookAt && !this.#stillFits()) this.#clear();
  }

  /** A table that is filled anew packs about as well as this one did while it filled. */
  #stillFits(): boolean {
    const ratio = this.#ratioOfPart();
    this.#bestRatio = Math.max(this.#bestRatio, ratio);
    return (
      ratio > this.#fillRatio &&
      ratio >= FITS_SHARE * this.#bestRatio &&
      this.#output.length - this.#fullAt < MAX_FULL_BYTES
    );
  }

  /** How well the part was packed that ends here; another one begins. */
  #ratioOfPart(): number {
    const ratio = (this.#at - this.#partAt) / (this.#output.length - this.#partPackedAt + 1);
    this.#partAt = this.#at;
    this.#partPackedAt = this.#output.length;
    return ratio;
  }

  #clear(): void {
    this.#sayRest();
    this.#write(CLEAR);
    this.#width = FIRST_WIDTH;
    this.#next = END;
    this.#table.clear();
    this.#full = undefined;
  }

  #sayRest(): void {
    for (const code of this.#full?.rest() ?? []) this.#write(code);
  }

  #finish(): Uint8Array {
    this.#sayRest();
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

/** Packs all at once: for packets. */
export function pack(input: Uint8Array): Uint8Array {
  const encoder = new LzwEncoder(input);
  for (;;) {
    const packed = encoder.step(input.length + 1);
    if (packed) return packed;
  }
}
