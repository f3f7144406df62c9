const ROUNDS = 4;

/**
 * An order of the places 0 to size - 1 in which each comes once, other for every seed, without a list of them: ten thousand members that each keep one of ten thousand would
 * need gigabytes. A Feistel network over the next power of four, which skips what lies beyond.
 */
export class Walk {
  readonly #size: number;
  readonly #halfBits: number;
  /** 2^halfBits - 1, and 4^halfBits. */
  readonly #mask: number;
  readonly #end: number;
  readonly #keys: readonly number[];
  #at = 0;

  constructor(size: number, random: () => number) {
    this.#size = size;
    this.#halfBits = Math.max(1, Math.ceil(Math.log2(Math.max(2, size)) / 2));
    this.#mask = 2 ** this.#halfBits - 1;
    this.#end = 4 ** this.#halfBits;
    this.#keys = Array.from({ length: ROUNDS }, () => Math.floor(random() * 2 ** 32));
  }

  get size(): number {
    return this.#size;
  }

  /** The next place; undefined when all have come. */
  next(): number | undefined {
    while (this.#at < this.#end) {
      const place = this.#mixed(this.#at++);
      if (place < this.#size) return place;
    }
    return undefined;
  }

  #mixed(value: number): number {
    const mask = this.#mask;
    let left = value >>> this.#halfBits;
    let right = value & mask;
    // Without iterators, which make objects: this is asked more often than anything else.
    for (let round = 0; round < ROUNDS; round++) {
      const mixed = Math.imul(right + 1, 0x9e_37_79_b1) ^ (this.#keys[round] ?? 0);
      const other = (Math.imul(mixed ^ (mixed >>> 15), 0x85_eb_ca_6b) >>> 13) & mask;
      const before = left;
      left = right;
      right = before ^ other;
    }
    return (left << this.#halfBits) | right;
  }
}
