/** Places that may lie empty at the front before the rest moves up. */
const MAX_EMPTY = 1024;

/**
 * What waits for an answer, by a number that grows. A Map would do, but one that gets and loses entries all the time makes new tables all the time,
 * each held by the one before: garbage that V8 carries into its old space, with everything that the entries hold (a third more time for each hop).
 */
export class Pending<T> {
  #waiting: (T | undefined)[] = [];
  /** Number of the entry at place 0. */
  #base = 1;
  /** Entries before this place have been taken. */
  #head = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Adds an entry; returns its number, from 1 up. */
  add(entry: T): number {
    this.#size++;
    return this.#base + this.#waiting.push(entry) - 1;
  }

  /** Takes an entry out; undefined if there is none of this number. */
  take(number: number): T | undefined {
    const place = number - this.#base;
    const entry = this.#waiting[place];
    if (entry === undefined) return undefined;
    this.#waiting[place] = undefined;
    this.#size--;
    if (place === this.#head) this.#advance();
    return entry;
  }

  /** Takes all entries out, in their order. */
  takeAll(): T[] {
    const all = this.#waiting.filter((entry) => entry !== undefined);
    this.#base += this.#waiting.length;
    this.#waiting = [];
    this.#head = 0;
    this.#size = 0;
    return all;
  }

  #advance(): void {
    const { length } = this.#waiting;
    while (this.#head < length && this.#waiting[this.#head] === undefined) this.#head++;
    if (this.#head < length && this.#head < MAX_EMPTY) return;
    this.#base += this.#head;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}
