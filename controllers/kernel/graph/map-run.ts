import type { MapContinuation } from '../../../protos/gen/fractory/v1/controller.js';
import type { Failure, Value } from '../../../protos/gen/fractory/v1/value.js';
import type { Outcome, ReplyPair } from '../capabilities/objects.js';
import { branchFor } from './branch.js';
import { NOTHING } from './gates.js';
import { encodeContinuation } from './continuation.js';
import type { Rest } from './continuation.js';

/** What a map does with the rest of its kernel. */
export interface MapSurroundings {
  addReply(settle: (outcome: Outcome) => void, ends?: readonly string[]): ReplyPair;
  /** Invokes the heads of one item; returns what stops the maps among them. */
  begin(heads: readonly Uint8Array[], value: Value, rest: Rest): () => void;
  /** Time that is left, ms. */
  leftMs(): number;
}

/** How a map ended. Receipts are encoded, those of all items. */
export type MapOutcome =
  | {
      readonly kind: 'succeeded';
      readonly results: readonly Value[];
      readonly receipts: readonly Uint8Array[];
    }
  | {
      readonly kind: 'failed';
      readonly failure: Failure;
      readonly receipts: readonly Uint8Array[];
    }
  /** An item could not be begun. */
  | {
      readonly kind: 'broken';
      readonly error: unknown;
      readonly receipts: readonly Uint8Array[];
    };

export interface MapRunOptions {
  readonly map: MapContinuation;
  readonly items: readonly Value[];
  readonly rest: Rest;
  readonly maxReceipts: number;
  readonly settle: (outcome: MapOutcome) => void;
}

/** Items under way at a time where the map says nothing. */
const PARALLELISM = 8;
const MAX_PARALLELISM = 1024;

/**
 * One map over one list, driven by the node that has the list. Items begin in order, at most `parallelism` under way, and branches take turns. The
 * first item that fails without a handler ends the map. Settles once.
 */
export class MapRun {
  readonly #options: MapRunOptions;
  readonly #surroundings: MapSurroundings;
  readonly #results: Value[];
  readonly #receipts: Uint8Array[] = [];
  readonly #underWay = new Map<number, ReplyPair>();
  /** Stops the maps inside items, also of those that are done: their results may be kept here. */
  readonly #stops: (() => void)[] = [];
  #next = 0;
  #done = 0;
  #isBeginning = false;
  #isEnded = false;

  constructor(options: MapRunOptions, surroundings: MapSurroundings) {
    this.#options = options;
    this.#surroundings = surroundings;
    this.#results = new Array<Value>(options.items.length);
  }

  start(): void {
    if (this.#options.items.length === 0) this.#settle();
    else this.#beginMore();
  }

  /** Ends it without an outcome: what is under way finds nobody to answer to. Idempotent. */
  stop(): void {
    this.#isEnded = true;
    for (const reply of this.#underWay.values()) reply.revoke();
    this.#underWay.clear();
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** Items that answer at once don't recurse: the loop that began them goes on. */
  #beginMore(): void {
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    const { items, map } = this.#options;
    const most = Math.min(map.parallelism || PARALLELISM, MAX_PARALLELISM);
    try {
      while (!this.#isEnded && this.#next < items.length && this.#underWay.size < most)
        this.#begin(this.#next++);
    } catch (error) {
      this.stop();
      this.#options.settle({ kind: 'broken', error, receipts: this.#receipts });
    }
    this.#isBeginning = false;
  }

  #begin(item: number): void {
    const { map, items, rest } = this.#options;
    const branch = map.branches[item % map.branches.length];
    const value = items[item];
    if (!branch || !value) return;
    const ends = Array.from({ length: branch.ends }, (_, end) => String(end));
    const reply = this.#surroundings.addReply(
      (outcome) => {
        this.#settleItem(item, outcome);
      },
      branch.ends > 1 ? ends : undefined,
    );
    this.#underWay.set(item, reply);
    const { heads, shared } = branchFor(branch, item, reply);
    const stop = this.#surroundings.begin(heads, value, {
      ...rest,
      shared,
      receipts: [],
      onFailure: [encodeContinuation(reply.failure, 'failure')],
      budgetMs: Math.max(1, Math.floor(this.#surroundings.leftMs())),
    });
    if (stop === NOTHING) return;
    if (this.#isEnded) stop();
    else this.#stops.push(stop);
  }

  #settleItem(item: number, outcome: Outcome): void {
    if (this.#isEnded) return;
    this.#underWay.delete(item);
    const room = this.#options.maxReceipts - this.#receipts.length;
    if (room > 0) this.#receipts.push(...outcome.receipts.slice(0, room));
    if (outcome.kind === 'failed') {
      this.stop();
      const { failure } = outcome;
      this.#options.settle({ kind: 'failed', failure, receipts: this.#receipts });
      return;
    }
    this.#results[item] = outcome.result;
    this.#done++;
    if (this.#done === this.#options.items.length) this.#settle();
    else this.#beginMore();
  }

  #settle(): void {
    this.#isEnded = true;
    this.#options.settle({
      kind: 'succeeded',
      results: this.#results,
      receipts: this.#receipts,
    });
  }
}
