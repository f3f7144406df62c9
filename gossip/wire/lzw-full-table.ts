import { CLEAR, CODES, NONE } from './lzw-codes.js';
import type { LzwTable } from './lzw-table.js';

/** The entry of no bytes. It has no code: it is never written. */
const EMPTY = CLEAR;

/**
 * Says bytes in the fewest codes that a table which is full allows: of an entry only so much is taken that the next one reaches as far as it can. That is the shortest way, since
 * with an entry all that it begins with are entries too (Hartman and Rodeh, "Optimal parsing of strings", 1985). Each entry knows the longest other one that it ends with, as in
 * Aho and Corasick's search for many words, so that to look ahead costs about one step a byte.
 */
export class FullTable {
  readonly #table: LzwTable;
  readonly #entries: Uint32Array;
  /** How many bytes a code stands for. */
  readonly #size = new Uint16Array(CODES).fill(1, 0, CLEAR);
  /** The longest entry, shorter than it, that an entry ends with. */
  readonly #ending = new Uint16Array(CODES).fill(EMPTY, 0, CLEAR);
  /** Shorter ones first. */
  readonly #order: Uint16Array;
  #linked = 0;
  /** The longest entry with which the bytes begin that are not yet said; NONE = it may become longer. */
  #head = NONE;
  /** The entry that follows it, and where that begins: at most where the head ends, and as early as one reaches to where we are. */
  #next = EMPTY;
  #nextAt = 0;

  /** The table has all codes from `first` to the one before `end`. */
  constructor(table: LzwTable, first: number, end: number) {
    this.#table = table;
    this.#entries = table.entries();
    // An entry is younger than what it begins with.
    for (let code = first; code < end; code++)
      this.#size[code] = this.#sizeOf(this.#prefixOf(code)) + 1;
    this.#order = this.#bySize(first, end);
  }

  /** Gets ready by so many steps at most, or a few more; true once it is, and before that nothing is taken. */
  link(steps: number): boolean {
    for (let left = steps; this.#linked < this.#order.length;) {
      if (left <= 0) return false;
      const code = this.#order[this.#linked++] ?? 0;
      const byte = (this.#entries[code] ?? 0) & 0xff;
      let ending = this.#endingOf(this.#prefixOf(code));
      let longer = this.#after(ending, byte);
      for (; longer === NONE; left--) {
        ending = this.#endingOf(ending);
        longer = this.#after(ending, byte);
      }
      this.#ending[code] = longer;
      left--;
    }
    return true;
  }

  /** Takes a byte; returns a code to write, or NONE. */
  take(byte: number): number {
    let said = NONE;
    for (;;) {
      const longer = this.#after(this.#next, byte);
      if (longer !== NONE) {
        this.#next = longer;
        return said;
      }
      if (this.#head === NONE) this.#begin();
      const shorter = this.#endingOf(this.#next);
      const at = this.#nextAt + this.#sizeOf(this.#next) - this.#sizeOf(shorter);
      if (at > this.#sizeOf(this.#head)) {
        // No other that follows the head reaches farther than this one: the head ends where it begins.
        said = this.#cutHead();
        this.#begin();
      } else {
        this.#next = shorter;
        this.#nextAt = at;
      }
    }
  }

  /** Codes of what was taken and not yet said; begins anew. */
  rest(): readonly number[] {
    const rest = this.#head === NONE ? [] : [this.#cutHead()];
    if (this.#next !== EMPTY) rest.push(this.#next);
    this.#head = NONE;
    this.#next = EMPTY;
    this.#nextAt = 0;
    return rest;
  }

  /** What reached farthest is the head of what is left. */
  #begin(): void {
    this.#head = this.#next;
    this.#nextAt = 0;
  }

  /** The head up to where the next one begins. */
  #cutHead(): number {
    let code = this.#head;
    for (let left = this.#sizeOf(code) - this.#nextAt; left > 0; left--)
      code = this.#prefixOf(code);
    return code;
  }

  /** Sorted by counting: it has to be quick. */
  #bySize(first: number, end: number): Uint16Array {
    const sorted = new Uint16Array(end - first);
    // By size, first how many have it, then where the next of it goes.
    const places = new Uint16Array(CODES);
    for (let code = first; code < end; code++) {
      const size = this.#sizeOf(code);
      places[size] = (places[size] ?? 0) + 1;
    }
    for (let size = 0, place = 0; size < CODES; size++) {
      const count = places[size] ?? 0;
      places[size] = place;
      place += count;
    }
    for (let code = first; code < end; code++) {
      const size = this.#sizeOf(code);
      const place = places[size] ?? 0;
      sorted[place] = code;
      places[size] = place + 1;
    }
    return sorted;
  }

  #after(code: number, byte: number): number {
    return code === EMPTY ? byte : this.#table.after(code, byte);
  }

  #endingOf(code: number): number {
    return this.#ending[code] ?? EMPTY;
  }

  #prefixOf(code: number): number {
    return (this.#entries[code] ?? 0) >>> 8;
  }

  #sizeOf(code: number): number {
    return this.#size[code] ?? 0;
  }
}
