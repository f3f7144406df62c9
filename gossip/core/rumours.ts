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

/** Rumours for a packet, and what they take of its room. */
export interface Taken<M> {
  readonly messages: readonly M[];
  readonly bytes: number;
}

/** One object for each rumour that waits: a packet looks at many, in ten thousand simulated members one after the other. */
class Waiting<M> {
  readonly message: M;
  readonly bytes: number;
  readonly key: string | symbol;
  readonly order: number;
  readonly finished: (() => void) | undefined;
  sent = 0;

  constructor({ message, bytes, finished }: Rumour<M>, key: string | symbol, order: number) {
    this.message = message;
    this.bytes = bytes;
    this.key = key;
    this.order = order;
    this.finished = finished;
  }
}

const OWN = 1024;
const ALL = 16_384;
/** Never changed. */
const NONE: never[] = [];

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
    const waiting = new Waiting(rumour, key, this.#order++);
    this.#waiting.set(key, waiting);
    this.#queue.splice(this.#placeOf(waiting), 0, waiting);
    this.#leastBytes = Math.min(this.#leastBytes, rumour.bytes);
    // At last: who is told may add another one.
    for (const one of gone) one?.finished?.();
    return true;
  }

  /** Takes what goes into a packet with so much room; each part costs `partBytes` more. `limit`: how often a rumour is passed on. */
  take(roomBytes: number, partBytes: number, maxParts: number, limit: number): Taken<M> {
    const messages: M[] = [];
    let passedOver: Waiting<M>[] = NONE;
    let left = roomBytes;
    let over = 0;
    let at = 0;
    for (; at < this.#queue.length; at++) {
      if (messages.length >= maxParts || this.#leastBytes + partBytes > left) break;
      const waiting = this.#queue[at];
      if (!waiting) break;
      const bytes = waiting.bytes + partBytes;
      if (bytes <= left) {
        left -= bytes;
        if (++waiting.sent >= limit) over++;
        messages.push(waiting.message);
      } else if (passedOver === NONE) passedOver = [waiting];
      else passedOver.push(waiting);
    }
    // Among themselves they stay in order, as each was passed on once more: if all were taken, there is nothing to do.
    if (over > 0 || (messages.length > 0 && messages.length < this.#queue.length))
      this.#putBack(at, passedOver, limit);
    return { messages, bytes: roomBytes - left };
  }

  /** All have finished: nobody passes them on any more. */
  clear(): void {
    const over = this.#queue;
    this.#queue = [];
    this.#waiting.clear();
    this.#own.clear();
    this.#leastBytes = Infinity;
    for (const { finished } of over) finished?.();
  }

  /** Of those before a place some did not fit, and the others were taken: they go behind those that were not, or are over. */
  #putBack(place: number, passedOver: Waiting<M>[], limit: number): void {
    let next = 0;
    const taken = this.#queue.slice(0, place).filter((waiting) => {
      if (waiting !== passedOver[next]) return true;
      next++;
      return false;
    });
    const again = taken.filter(({ sent }) => sent < limit);
    this.#queue = this.#merged(again, passedOver, place);
    if (this.#queue.length === 0) this.#leastBytes = Infinity;
    if (again.length === taken.length) return;
    const over = taken.filter(({ sent }) => sent >= limit);
    for (const waiting of over) this.#forget(waiting);
    for (const { finished } of over) finished?.();
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

  /** What was taken, put back in order among what was not: some that did not fit, and all from a place on. In place: copies of ten thousand for each packet would be most of the garbage that gossip makes. */
  #merged(again: Waiting<M>[], passedOver: readonly Waiting<M>[], from: number): Waiting<M>[] {
    const queue = this.#queue;
    if (passedOver.length === 0 && from === queue.length) return again;
    queue.splice(0, from, ...passedOver);
    let other = queue.length - 1;
    queue.push(...again);
    let place = queue.length - 1;
    for (let last = again.length - 1; last >= 0; place--) {
      const [waiting, before] = [again[last], queue[other]];
      if (!waiting) break;
      const isLater = before !== undefined && goesBefore(waiting, before);
      queue[place] = isLater ? before : waiting;
      if (isLater) other--;
      else last--;
    }
    return queue;
  }
}

/** Those that were passed on least first, then the larger ones, then the newer ones. */
function goesBefore<M>(one: Waiting<M>, other: Waiting<M>): boolean {
  if (one.sent !== other.sent) return one.sent < other.sent;
  if (one.bytes !== other.bytes) return one.bytes > other.bytes;
  return one.order > other.order;
}
