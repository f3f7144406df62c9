import { ModelQueue } from './model-queue.js';
import type { QueueSettings, Waiting } from './model-queue.js';

/** Batches that a worker has at most: one that runs, and one at its door, so that it never waits for this thread between two short runs. */
const DEPTH = 2;
/** Longest run that is worth a batch at the door, ms. Beside longer ones the gap doesn't count, but a free worker could have taken it. */
const SHORT_RUN_MS = 20;
/** Share of the time of a lone request from which on one among others counts as no faster. */
const AS_SLOW = 0.9;

/** Some requests that run together on a worker. */
export interface Batch<Item extends Waiting> {
  readonly worker: number;
  readonly model: string;
  readonly items: readonly Item[];
}

/** What a batch waits for, or why a request is not computed. */
export type Refusal =
  | { readonly kind: 'full'; readonly underWay: number; readonly retryAfterMs: number }
  | { readonly kind: 'hopeless'; readonly expectedMs: number; readonly leftMs: number }
  | { readonly kind: 'expired' };

/** What the scheduler wants done. */
export type Decision<Item extends Waiting> =
  | { readonly kind: 'start'; readonly batch: Batch<Item> }
  | { readonly kind: 'drop'; readonly item: Item; readonly refusal: Refusal };

interface Slot<Item extends Waiting> {
  readonly batch: Batch<Item>;
  /** When the worker began it, as far as is known here. Undefined while it is at the door. */
  startedMs: number | undefined;
}

/**
 * Decides which request runs when, where and with which others. A state machine without threads and timers: events come in with the time at which they
 * happened (any clock that doesn't go back, ms), decisions come out, and whoever drives it carries them out.
 *
 * - A request starts at once where a worker that has its model is free. Batches form only of what waits for workers, or where the model asks for a delay.
 * - Models that wait for the same worker take turns by the computing time that they have had.
 * - Requests whose deadline is sooner than what stands before them and their own run would end are refused on arrival; what waits too long is dropped.
 */
export class BatchScheduler<Item extends Waiting> {
  readonly #queues = new Map<string, ModelQueue<Item>>();
  /** By worker, the batch that runs first. Invariant: at most DEPTH. */
  readonly #workers = new Map<number, Slot<Item>[]>();

  /** A model that may be asked for from now on; it runs where it is offered. Changes the settings of one that is known. */
  setModel(model: string, settings: QueueSettings): void {
    const queue = this.#queues.get(model);
    if (queue) queue.settings = settings;
    else this.#queues.set(model, new ModelQueue(settings));
  }

  /** Forgets a model; returns what was waiting for it. */
  removeModel(model: string): Item[] {
    const waiting = this.#queues.get(model)?.takeAll() ?? [];
    this.#queues.delete(model);
    return waiting;
  }

  /** The worker has loaded the model. */
  offer(worker: number, model: string, nowMs: number): Decision<Item>[] {
    if (!this.#workers.has(worker)) this.#workers.set(worker, []);
    this.#queues.get(model)?.workers.add(worker);
    return this.#schedule(nowMs);
  }

  /** The worker doesn't take the model any more; what it was given already goes on. */
  withdraw(worker: number, model: string): void {
    this.#queues.get(model)?.workers.delete(worker);
  }

  /**
   * The worker died. What it was computing is lost; what stood at its door waits again, first in its queue. `begun`: it had begun with its first batch.
   */
  lost(worker: number, begun: boolean, nowMs: number): Decision<Item>[] {
    const slots = this.#workers.get(worker) ?? [];
    this.#workers.delete(worker);
    for (const { batch } of slots) this.#ended(batch);
    for (const queue of this.#queues.values()) queue.workers.delete(worker);
    for (const { batch } of slots.slice(begun ? 1 : 0).reverse())
      this.#queues.get(batch.model)?.putBack(batch.items);
    return this.#schedule(nowMs);
  }

  /** Why a request with this deadline would be refused if it came now. */
  refusal(model: string, deadlineMs: number, nowMs: number): Refusal | undefined {
    const queue = this.#queues.get(model);
    return queue && this.#refusalOf(queue, deadlineMs, nowMs);
  }

  /** A request arrives. Refused ones come back as a `drop`. The model has to be known. */
  request(model: string, item: Item, nowMs: number): Decision<Item>[] {
    const queue = this.#queues.get(model);
    if (!queue) throw new Error(`the scheduler knows no model ${model}`);
    const refusal = this.#refusalOf(queue, item.deadlineMs, nowMs);
    if (refusal) return [{ kind: 'drop', item, refusal }];
    queue.add(item, nowMs, this.#leastServed());
    return this.#schedule(nowMs);
  }

  /** Whether the request was still waiting; then it is gone. */
  cancel(model: string, item: Item): boolean {
    return this.#queues.get(model)?.remove(item) ?? false;
  }

  /** The first batch of a worker has ended; `computeMs` undefined = it failed and says nothing about the speed. */
  done(worker: number, computeMs: number | undefined, nowMs: number): Decision<Item>[] {
    const slots = this.#workers.get(worker) ?? [];
    const slot = slots.shift();
    const [next] = slots;
    if (next) next.startedMs = nowMs;
    if (slot) this.#ended(slot.batch);
    if (slot && computeMs !== undefined)
      this.#queues.get(slot.batch.model)?.measured(slot.batch.items.length, computeMs);
    return this.#schedule(nowMs);
  }

  /** Time has passed: see `wakeAtMs`. */
  tick(nowMs: number): Decision<Item>[] {
    const expired: Decision<Item>[] = [];
    for (const queue of this.#queues.values())
      for (const item of queue.takeExpired(nowMs))
        expired.push({ kind: 'drop', item, refusal: { kind: 'expired' } });
    return [...expired, ...this.#schedule(nowMs)];
  }

  /** When `tick` should come, if nothing else happens before; Infinity = never. */
  wakeAtMs(): number {
    let at = Infinity;
    for (const queue of this.#queues.values())
      at = Math.min(
        at,
        queue.earliestDeadlineMs,
        this.#freeWorkers(queue).length > 0 ? queue.holdUntilMs() : Infinity,
      );
    return at;
  }

  /** Requests waiting and running. */
  underWay(model: string): number {
    return this.#queues.get(model)?.underWay ?? 0;
  }

  /** No request waits or runs. */
  get isIdle(): boolean {
    for (const slots of this.#workers.values()) if (slots.length > 0) return false;
    for (const queue of this.#queues.values()) if (queue.length > 0) return false;
    return true;
  }

  #refusalOf(queue: ModelQueue<Item>, deadlineMs: number, nowMs: number): Refusal | undefined {
    const leftMs = deadlineMs - nowMs;
    if (leftMs <= 0) return { kind: 'expired' };
    const free = this.#freeWorkers(queue).length > 0;
    if (queue.underWay >= queue.settings.maxQueued)
      return {
        ...{ kind: 'full', underWay: queue.underWay },
        retryAfterMs: Math.max(1, Math.ceil(this.#waitMs(queue, nowMs) / 2)),
      };
    const expectedMs = (free ? 0 : this.#waitMs(queue, nowMs)) + queue.loneMs;
    if (expectedMs <= leftMs) return undefined;
    // Or else one slow run could refuse everybody for ever.
    if (queue.loneMs > leftMs) queue.doubtEstimate();
    return { kind: 'hopeless', expectedMs, leftMs };
  }

  /** Time until a worker would begin with a request that arrives now. */
  #waitMs(queue: ModelQueue<Item>, nowMs: number): number {
    const workers = Math.max(1, queue.workers.size);
    const ownMs = queue.length * queue.requestMs;
    let work = ownMs;
    // Others that wait for the same workers get as much time as this model, at most.
    for (const other of this.#queues.values())
      if (other !== queue && shareWorker(other, queue))
        work += Math.min(other.length * other.requestMs, ownMs + queue.requestMs);
    for (const worker of queue.workers)
      for (const slot of this.#workers.get(worker) ?? []) work += this.#leftMs(slot, nowMs);
    return work / workers;
  }

  #ended({ model, items }: Batch<Item>): void {
    const queue = this.#queues.get(model);
    if (queue) queue.running -= items.length;
  }

  #freeWorkers(queue: ModelQueue<Item>): number[] {
    const free: number[] = [];
    for (const worker of queue.workers)
      if (this.#workers.get(worker)?.length === 0) free.push(worker);
    return free;
  }

  /** Workers that are free or will be before another request of a batch would be computed: a batch leaves them their share. At least 1. */
  #soonFree(queue: ModelQueue<Item>, nowMs: number): number {
    let count = 0;
    for (const worker of queue.workers) {
      const [running, next] = this.#workers.get(worker) ?? [];
      if (next) continue;
      const leftMs = running ? this.#leftMs(running, nowMs) : 0;
      if (!running || leftMs < queue.requestMs) count++;
    }
    return Math.max(1, count);
  }

  /** Time until a batch has ended, by how long others took. */
  #leftMs({ batch, startedMs }: Slot<Item>, nowMs: number): number {
    const runMs = batch.items.length * (this.#queues.get(batch.model)?.requestMs ?? 0);
    return Math.max(0, runMs - (startedMs === undefined ? 0 : nowMs - startedMs));
  }

  #schedule(nowMs: number): Decision<Item>[] {
    const decisions: Decision<Item>[] = [];
    for (let depth = 0; depth < DEPTH; depth++)
      for (const [worker, slots] of this.#workers)
        if (slots.length === depth) this.#fill(worker, slots, nowMs, decisions);
    return decisions;
  }

  #fill(worker: number, slots: Slot<Item>[], nowMs: number, decisions: Decision<Item>[]): void {
    for (;;) {
      const chosen = this.#nextModel(worker, slots.length > 0, nowMs);
      if (!chosen) return;
      const [model, queue] = chosen;
      const sharers = slots.length > 0 ? queue.workers.size : this.#soonFree(queue, nowMs);
      const { items, dropped } = queue.take(Math.ceil(queue.length / sharers), nowMs);
      for (const drop of dropped) decisions.push({ kind: 'drop', ...drop });
      if (items.length === 0) continue;
      const batch = { worker, model, items };
      queue.running += items.length;
      slots.push({ batch, startedMs: slots.length === 0 ? nowMs : undefined });
      decisions.push({ kind: 'start', batch });
      return;
    }
  }

  /** Whose turn it is on this worker. */
  #nextModel(
    worker: number,
    atTheDoor: boolean,
    nowMs: number,
  ): readonly [string, ModelQueue<Item>] | undefined {
    let best: readonly [string, ModelQueue<Item>] | undefined;
    for (const entry of this.#queues) {
      const [, queue] = entry;
      if (queue.length === 0 || !queue.workers.has(worker)) continue;
      if (atTheDoor ? !isWorthTheDoor(queue) : queue.holdUntilMs() > nowMs) continue;
      if (!best || queue.servedMs < best[1].servedMs) best = entry;
    }
    return best;
  }

  /** The least computing time that a model with waiting requests has had: where one that comes back starts. */
  #leastServed(): number {
    let least = Infinity;
    for (const queue of this.#queues.values())
      if (queue.length > 0) least = Math.min(least, queue.servedMs);
    return least;
  }
}

/** Only what would wait even if another worker became free; where a batch computes faster, only a full one. */
function isWorthTheDoor(queue: ModelQueue<Waiting>): boolean {
  const { maxBatch, maxDelayMs } = queue.settings;
  const least = queue.requestMs < AS_SLOW * queue.loneMs ? maxBatch : 1;
  return (
    maxDelayMs === 0 &&
    queue.requestMs > 0 &&
    queue.requestMs * maxBatch < SHORT_RUN_MS &&
    queue.length >= queue.workers.size * least
  );
}

function shareWorker(one: ModelQueue<Waiting>, other: ModelQueue<Waiting>): boolean {
  for (const worker of one.workers) if (other.workers.has(worker)) return true;
  return false;
}
