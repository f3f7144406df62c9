import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { toFailure } from '../../protos/status.js';
import { kindOf, listValue } from '../../protos/values.js';
import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import type { Hub, StarOutcome } from './hub.js';
import type { PlannedMap } from './plan.js';

/** Elements under way at a time where the map says nothing: as many as between nodes. */
const PARALLELISM = 8;

/** What is done with one element. */
export interface StarItem {
  start(element: Value): void;
  stop(): void;
}

export interface StarMapOptions {
  /** Of its step, for failures. */
  readonly name: string;
  readonly map: PlannedMap;
  readonly list: Value;
  /** The list of results is for another step: it is kept here where it is large. */
  readonly goesOn: boolean;
}

/** A map that the application node drives itself, by the same rules as a node of a ring does. Settles once. */
export class StarMap {
  readonly #hub: Hub;
  readonly #options: StarMapOptions;
  readonly #makeItem: (item: number, settle: (outcome: StarOutcome) => void) => StarItem;
  readonly #settle: (outcome: StarOutcome) => void;
  readonly #underWay = new Map<number, StarItem>();
  #elements: readonly Value[] = [];
  #results: Value[] = [];
  #next = 0;
  #done = 0;
  #isBeginning = false;
  #isEnded = false;

  constructor(
    hub: Hub,
    options: StarMapOptions,
    makeItem: (item: number, settle: (outcome: StarOutcome) => void) => StarItem,
    settle: (outcome: StarOutcome) => void,
  ) {
    this.#hub = hub;
    this.#options = options;
    this.#makeItem = makeItem;
    this.#settle = settle;
  }

  start(): void {
    const { name, list } = this.#options;
    if (list.kind?.$case === 'list') this.#begin(list);
    else
      this.#hub.pull(
        name,
        list,
        (whole) => {
          this.#begin(whole);
        },
        (failure) => {
          this.#end({ kind: 'failed', failure });
        },
      );
  }

  /** Ends it without an outcome. Idempotent. */
  stop(): void {
    this.#isEnded = true;
    for (const item of this.#underWay.values()) item.stop();
    this.#underWay.clear();
  }

  #begin(list: Value): void {
    if (this.#isEnded) return;
    try {
      this.#elements = this.#elementsOf(list);
    } catch (error) {
      this.#fail(error);
      return;
    }
    this.#results = new Array<Value>(this.#elements.length);
    if (this.#elements.length === 0) this.#succeed();
    else this.#beginMore();
  }

  #elementsOf(list: Value): readonly Value[] {
    const { max_map_items } = this.#hub.limits;
    if (list.kind?.$case !== 'list')
      throw invalidArgument(
        `step ${this.#options.name}, argument input`,
        `a map takes a list, found ${kindOf(list) ?? 'nothing'}`,
        'WRONG_KIND',
      );
    const { values } = list.kind.value;
    if (values.length > max_map_items)
      throw limitExceeded('max_map_items', values.length, max_map_items);
    return values;
  }

  /** Elements that are done at once don't recurse: the loop that began them goes on. */
  #beginMore(): void {
    if (this.#isBeginning) return;
    this.#isBeginning = true;
    const most = this.#options.map.parallelism || PARALLELISM;
    while (!this.#isEnded && this.#next < this.#elements.length && this.#underWay.size < most) {
      const item = this.#next++;
      const element = this.#elements[item] ?? {};
      const graph = this.#makeItem(item, (outcome) => {
        this.#settleItem(item, outcome);
      });
      this.#underWay.set(item, graph);
      graph.start(element);
    }
    this.#isBeginning = false;
  }

  #settleItem(item: number, outcome: StarOutcome): void {
    if (this.#isEnded) return;
    this.#underWay.delete(item);
    if (outcome.kind === 'failed') {
      this.#end(outcome);
      return;
    }
    this.#results[item] = outcome.value;
    this.#done++;
    if (this.#done === this.#elements.length) this.#succeed();
    else this.#beginMore();
  }

  #succeed(): void {
    try {
      const list = listValue(this.#results);
      const value = this.#options.goesOn ? this.#hub.travelling(list) : list;
      this.#end({ kind: 'succeeded', value });
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const { name } = this.#options;
    this.#end({ kind: 'failed', failure: toFailure(error, { step: name, member: '' }) });
  }

  #end(outcome: StarOutcome): void {
    if (this.#isEnded) return;
    this.stop();
    this.#settle(outcome);
  }
}
