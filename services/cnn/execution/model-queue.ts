/** How requests for a model are put together. */
export interface QueueSettings {
  /** Most requests in one run. */
  readonly maxBatch: number;
  /** Longest time that a request waits for others while a worker is free, ms. */
  readonly maxDelayMs: number;
  /** Most requests under way: waiting and running. */
  readonly maxQueued: number;
}

/** A request as far as its turn depends on it. */
export interface Waiting {
  /** Requests of the same key may run together; '' = only alone. */
  readonly batchKey: string;
  /** By the scheduler's clock, ms; Infinity = none. */
  readonly deadlineMs: number;
}

interface Entry<Item> {
  readonly item: Item;
  readonly arrivedMs: number;
}

/** A request that is dropped when its turn has come. */
interface Dropped<Item> {
  readonly item: Item;
  readonly refusal:
    | { readonly kind: 'expired' }
    | { readonly kind: 'hopeless'; readonly expectedMs: number; readonly leftMs: number };
}

/** Weight of a new measurement in a running average. */
const NEW_SHARE = 0.2;
/** What a refusal that nobody can disprove takes off the time it was based on. */
const DOUBT = 0.9;

/** Requests that wait for one model, in the order of their arrival, and how long its runs take. */
export class ModelQueue<Item extends Waiting> {
  settings: QueueSettings;
  /** Workers that have the model. */
  readonly workers = new Set<number>();
  /** Computing time that it has had, ms, put forward whenever it comes back after a pause, so that pauses are not saved up. */
  servedMs = 0;
  /** Computing time of one request among others of a batch, ms; 0 = not known yet. */
  requestMs = 0;
  /** Computing time of a request that runs alone, ms; 0 = not known yet. */
  loneMs = 0;
  /** Requests that run or stand at a worker's door. */
  running = 0;
  /** Not after the earliest deadline of what waits. */
  earliestDeadlineMs = Infinity;
  #entries: Entry<Item>[] = [];

  constructor(settings: QueueSettings) {
    this.settings = settings;
  }

  get length(): number {
    return this.#entries.length;
  }

  get underWay(): number {
    return this.#entries.length + this.running;
  }

  /** `leastServedMs`: of the models that wait already. */
  add(item: Item, nowMs: number, leastServedMs: number): void {
    if (this.#entries.length === 0 && leastServedMs !== Infinity)
      this.servedMs = Math.max(this.servedMs, leastServedMs);
    this.#entries.push({ item, arrivedMs: nowMs });
    this.earliestDeadlineMs = Math.min(this.earliestDeadlineMs, item.deadlineMs);
  }

  /** Requests that were taken and never ran come first again. */
  putBack(items: readonly Item[]): void {
    const arrivedMs = this.#entries[0]?.arrivedMs ?? -Infinity;
    this.#entries.unshift(...items.map((item) => ({ item, arrivedMs })));
    for (const { deadlineMs } of items)
      this.earliestDeadlineMs = Math.min(this.earliestDeadlineMs, deadlineMs);
  }

  remove(item: Item): boolean {
    const at = this.#entries.findIndex((entry) => entry.item === item);
    if (at >= 0) this.#entries.splice(at, 1);
    this.#forgetDeadlines();
    return at >= 0;
  }

  takeAll(): Item[] {
    const items = this.#entries.map(({ item }) => item);
    this.#entries = [];
    this.#forgetDeadlines();
    return items;
  }

  /** What is past its deadline. */
  takeExpired(nowMs: number): Item[] {
    if (this.earliestDeadlineMs > nowMs) return [];
    const expired = this.#entries.filter(({ item }) => item.deadlineMs <= nowMs);
    this.#entries = this.#entries.filter(({ item }) => item.deadlineMs > nowMs);
    this.earliestDeadlineMs = this.#entries.reduce(
      (least, { item }) => Math.min(least, item.deadlineMs),
      Infinity,
    );
    return expired.map(({ item }) => item);
  }

  /** The first request and up to `most` - 1 others that can run with it, as far as the settings allow; what can't end in time is dropped. */
  take(most: number, nowMs: number): { items: Item[]; dropped: Dropped<Item>[] } {
    const limit = Math.min(most, this.settings.maxBatch);
    const items: Item[] = [];
    const dropped: Dropped<Item>[] = [];
    const left: Entry<Item>[] = [];
    let at = 0;
    for (; at < this.#entries.length && items.length < Math.max(1, limit); at++) {
      const entry = this.#entries[at] as Entry<Item>;
      const refusal = this.#refusalOf(entry.item, nowMs);
      const [first] = items;
      if (refusal) dropped.push({ item: entry.item, refusal });
      else if (!first || (first.batchKey !== '' && first.batchKey === entry.item.batchKey))
        items.push(entry.item);
      else left.push(entry);
    }
    this.#entries.splice(0, at, ...left);
    this.servedMs += items.length * this.requestMs;
    this.#forgetDeadlines();
    return { items, dropped };
  }

  /** Until when a free worker leaves the queue alone, so that a batch can form. */
  holdUntilMs(): number {
    const { maxDelayMs, maxBatch } = this.settings;
    const [first] = this.#entries;
    if (!first) return Infinity;
    if (maxDelayMs === 0 || this.#entries.length >= maxBatch) return -Infinity;
    // Not so long that the first would miss its deadline.
    return Math.min(first.arrivedMs + maxDelayMs, first.item.deadlineMs - 2 * this.loneMs);
  }

  /** A run has ended. */
  measured(requests: number, computeMs: number): void {
    const eachMs = computeMs / requests;
    this.servedMs += requests * (eachMs - this.requestMs);
    this.requestMs = average(this.requestMs, eachMs);
    if (requests === 1) this.loneMs = average(this.loneMs, computeMs);
    else if (this.loneMs === 0) this.loneMs = eachMs;
  }

  /** A request was refused only because a run is thought to take so long. */
  doubtEstimate(): void {
    this.loneMs *= DOUBT;
  }

  #refusalOf({ deadlineMs }: Item, nowMs: number): Dropped<Item>['refusal'] | undefined {
    if (deadlineMs <= nowMs) return { kind: 'expired' };
    const leftMs = deadlineMs - nowMs;
    if (this.loneMs <= leftMs) return undefined;
    this.doubtEstimate();
    return { kind: 'hopeless', expectedMs: this.loneMs, leftMs };
  }

  #forgetDeadlines(): void {
    if (this.#entries.length === 0) this.earliestDeadlineMs = Infinity;
  }
}

function average(old: number, found: number): number {
  return old === 0 ? found : old + NEW_SHARE * (found - old);
}
