/** Something that everybody should hear. */
export interface Rumour<M> {
  readonly message: M;
  readonly bytes: number;
  /** Whom it is about: a newer rumour about the same one takes its place. Undefined = it stands for itself. */
  readonly about: string | undefined;
  /** Called once, when it was passed on often enough, a newer one took its place, or it had to leave. */
  readonly finished?: () => void;
}

export interface RumourLimits {
  /** A larger rumour would never find a packet with room: it is not taken. Default: none is too large. */
  readonly bytes?: number;
  /** Of rumours that stand for themselves; the oldest leaves. Default 1,024: what a program on top may say in the time that one takes to reach everybody. */
  readonly own?: number;
  /** Of all; the oldest leaves, and reaches others by exchanges. Default 16,384: a join of a large cluster makes as many. */
  readonly all?: number;
}

interface Waiting<M> {
  readonly rumour: Rumour<M>;
  readonly key: string | symbol;
  sent: number;
  readonly order: number;
}

const OWN = 1024;
const ALL = 16_384;

/**
 * Rumours that wait for packets with room. Those that were passed on least go first, then the larger ones, then the newer ones; each goes out so often as the caller says, and
 * there is one at most about each member. Bounded in number; the cost of a packet hardly grows with it.
 */
export class Rumours<M> {
  readonly #limits: Required<RumourLimits>;
  /** In the order in which they go. */
  #queue: Waiting<M>[] = [];
  /** The oldest first. */
  readonly #waiting = new Map<string | symbol, Waiting<M>>();
  /** Keys of those that stand for themselves, the oldest first. */
  readonly #own = new Set<symbol>();
  /** No rumour that waits is smaller. */
  #leastBytes = Infinity;
  #order = 0;

  constructor({ bytes = Infinity, own = OWN, all = ALL }: RumourLimits = {}) {
    this.#limits = { bytes, own, all };
  }

  get size(): number {
    return this.#queue.length;
  }

  /** False where it is too large; it has finished then. */
  add(rumour: Rumour<M>): boolean {
    if (rumour.bytes > this.#limits.bytes) {
      rumour.finished?.();
      return false;
    }
    const key = rumour.about ?? Symbol('rumour');
    const gone = [this.#remove(key)];
    const { own, all } = this.#limits;
    if (typeof key === 'symbol') {
      if (this.#own.size >= own) gone.push(this.#removeOldest(this.#own));
      this.#own.add(key);
    }
    if (this.#queue.length >= all) gone.push(this.#removeOldest(this.#waiting.keys()));
    const waiting = { rumour, key, sent: 0, order: this.#order++ };
    this.#waiting.set(key, waiting);
    this.#queue.splice(this.#placeOf(waiting), 0, waiting);
    this.#leastBytes = Math.min(this.#leastBytes, rumour.bytes);
    // At last: who is told may add another one.
    for (const one of gone) one?.rumour.finished?.();
    return true;
  }

  /** Takes what goes into a packet with so much room; each part costs `partBytes` more. `limit`: how often a rumour is passed on. */
  take(roomBytes: number, partBytes: number, maxParts: number, limit: number): M[] {
    const taken: Waiting<M>[] = [];
    const passedOver: Waiting<M>[] = [];
    let left = roomBytes;
    let at = 0;
    for (; at < this.#queue.length; at++) {
      if (taken.length >= maxParts || this.#leastBytes + partBytes > left) break;
      const waiting = this.#queue[at];
      if (!waiting) break;
      const bytes = waiting.rumour.bytes + partBytes;
      if (bytes > left) passedOver.push(waiting);
      else {
        left -= bytes;
        taken.push(waiting);
      }
    }
    const messages = taken.map(({ rumour }) => rumour.message);
    for (const waiting of taken) waiting.sent++;
    // Among themselves they stay in order: each was passed on once more.
    const isOver = taken.some(({ sent }) => sent >= limit);
    const again = isOver ? taken.filter(({ sent }) => sent < limit) : taken;
    if (taken.length > 0) this.#queue = this.#merged(again, passedOver, at);
    if (this.#queue.length === 0) this.#leastBytes = Infinity;
    if (isOver) {
      const over = taken.filter(({ sent }) => sent >= limit);
      for (const waiting of over) this.#forget(waiting);
      for (const { rumour } of over) rumour.finished?.();
    }
    return messages;
  }

  /** All have finished: nobody passes them on any more. */
  clear(): void {
    const over = this.#queue;
    this.#queue = [];
    this.#waiting.clear();
    this.#own.clear();
    this.#leastBytes = Infinity;
    for (const { rumour } of over) rumour.finished?.();
  }

  #removeOldest(keys: Iterable<string | symbol>): Waiting<M> | undefined {
    for (const key of keys) return this.#remove(key);
    return undefined;
  }

  #remove(key: string | symbol): Waiting<M> | undefined {
    const waiting = this.#waiting.get(key);
    if (!waiting) return undefined;
    this.#queue.splice(this.#placeOf(waiting), 1);
    this.#forget(waiting);
    return waiting;
  }

  #forget({ key }: Waiting<M>): void {
    this.#waiting.delete(key);
    if (typeof key === 'symbol') this.#own.delete(key);
  }

  /** Where it stands, or would stand. */
  #placeOf(waiting: Waiting<M>): number {
    let [low, high] = [0, this.#queue.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const other = this.#queue[middle];
      if (other && goesBefore(other, waiting)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** What was taken, put back in order among what was not: some that did not fit, and all from a place on. */
  #merged(again: Waiting<M>[], passedOver: readonly Waiting<M>[], from: number): Waiting<M>[] {
    if (passedOver.length === 0 && from === this.#queue.length) return again;
    const others = [...passedOver, ...this.#queue.slice(from)];
    const merged: Waiting<M>[] = [];
    let at = 0;
    for (const waiting of again) {
      for (let other = others[at]; other && goesBefore(other, waiting); other = others[++at])
        merged.push(other);
      merged.push(waiting);
    }
    return at < others.length ? merged.concat(others.slice(at)) : merged;
  }
}

/** Those that were passed on least first, then the larger ones, then the newer ones. */
function goesBefore<M>(one: Waiting<M>, other: Waiting<M>): boolean {
  if (one.sent !== other.sent) return one.sent < other.sent;
  if (one.rumour.bytes !== other.rumour.bytes) return one.rumour.bytes > other.rumour.bytes;
  return one.order > other.order;
}
