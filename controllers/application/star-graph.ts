import type { Failure, Value } from '../../protos/gen/fractory/v1/value.js';
import { toFailure } from '../../protos/status.js';
import { failureValue, listValue } from '../../protos/values.js';
import { argumentOf } from '../../services/application/graph/checked-graph.js';
import { narrow } from '../kernel/capabilities/token.js';
import type { Hub, StarOutcome } from './hub.js';
import { placeFor } from './plan.js';
import type { PlannedGraph, PlannedMap, PlannedStep } from './plan.js';
import { StarMap } from './star-map.js';

/** Which elements of the maps around a graph it is about. */
export interface StarScope {
  /** Their numbers, outermost first. */
  readonly items: readonly number[];
  /** Which of the places of each step it takes. */
  readonly variant: number;
}

/** What has come for a step. */
interface Waiting {
  readonly arguments: Map<string, Value>;
  hasBegun: boolean;
}

/** A graph, or that of a map for one element, driven step by step from the application node. Settles once. */
export class StarGraph {
  readonly #hub: Hub;
  readonly #graph: PlannedGraph;
  readonly #scope: StarScope;
  readonly #settle: (outcome: StarOutcome) => void;
  readonly #steps: ReadonlyMap<string, PlannedStep>;
  readonly #waiting = new Map<string, Waiting>();
  readonly #maps = new Set<StarMap>();
  readonly #results: (Value | undefined)[];
  #missing: number;
  #isEnded = false;

  constructor(
    hub: Hub,
    graph: PlannedGraph,
    scope: StarScope,
    settle: (outcome: StarOutcome) => void,
  ) {
    this.#hub = hub;
    this.#graph = graph;
    this.#scope = scope;
    this.#settle = settle;
    this.#steps = new Map(graph.steps.map((step) => [step.id, step]));
    this.#results = new Array<Value | undefined>(graph.ends).fill(undefined);
    this.#missing = graph.ends;
  }

  /** `element`: that of the map around. */
  start(element?: Value): void {
    for (const { to, argument } of this.#graph.entries) {
      const step = this.#steps.get(to);
      if (!step || this.#isEnded) continue;
      if (element && argument !== undefined) this.#arrive(step, argument, element);
      else this.#begin(step, new Map());
    }
  }

  /** Ends it without an outcome. Idempotent. */
  stop(): void {
    this.#isEnded = true;
    for (const map of this.#maps) map.stop();
    this.#maps.clear();
  }

  /** The first value for an argument counts; with the last argument the step begins, once. */
  #arrive(step: PlannedStep, argument: string, value: Value): void {
    const waiting = this.#waiting.get(step.id) ?? { arguments: new Map(), hasBegun: false };
    this.#waiting.set(step.id, waiting);
    if (waiting.hasBegun) return;
    if (!waiting.arguments.has(argument)) waiting.arguments.set(argument, value);
    if (waiting.arguments.size < Math.max(1, step.gate.length)) return;
    waiting.hasBegun = true;
    this.#begin(step, waiting.arguments);
    waiting.arguments.clear();
  }

  #begin(step: PlannedStep, values: ReadonlyMap<string, Value>): void {
    if (step.map) {
      this.#beginMap(step, step.map, values.get('input') ?? step.step.arguments[0]?.value ?? {});
      return;
    }
    const { items, variant } = this.#scope;
    let { capability } = placeFor(step, variant);
    for (const item of items) capability = narrow(capability, { item });
    const name = this.#nameOf(step);
    let args;
    try {
      args = this.#argumentsOf(values);
    } catch (error) {
      this.#failed(step, toFailure(error, { step: name, member: capability.owner }));
      return;
    }
    const { retries } = step.step;
    this.#hub.call(
      { step: name, capability, arguments: args, retries, goesOn: this.#goesOn(step) },
      (outcome) => {
        this.#done(step, outcome);
      },
    );
  }

  #beginMap(step: PlannedStep, map: PlannedMap, list: Value): void {
    const { items, variant } = this.#scope;
    const run = new StarMap(
      this.#hub,
      { name: this.#nameOf(step), map, list, goesOn: this.#goesOn(step) },
      (item, settle) =>
        new StarGraph(
          this.#hub,
          map,
          { items: [...items, item], variant: variant * map.branches + (item % map.branches) },
          settle,
        ),
      (outcome) => {
        this.#maps.delete(run);
        this.#done(step, outcome);
      },
    );
    this.#maps.add(run);
    run.start();
  }

  #done(step: PlannedStep, outcome: StarOutcome): void {
    if (this.#isEnded) return;
    if (outcome.kind === 'failed') this.#failed(step, outcome.failure);
    else this.#succeeded(step, outcome.value);
  }

  #succeeded({ end, onSuccess }: PlannedStep, value: Value): void {
    if (end !== undefined) {
      this.#finish(end, value);
      return;
    }
    this.#follow(onSuccess, value);
  }

  #failed({ onFailure }: PlannedStep, failure: Failure): void {
    if (this.#isEnded) return;
    if (onFailure.length > 0) {
      this.#follow(onFailure, failureValue(failure));
      return;
    }
    this.stop();
    this.#settle({ kind: 'failed', failure });
  }

  #follow(edges: PlannedStep['onSuccess'], value: Value): void {
    for (const { to, argument } of edges) {
      const step = this.#steps.get(to);
      if (step && !this.#isEnded) this.#arrive(step, argument, value);
    }
  }

  #finish(end: number, value: Value): void {
    if (this.#results[end]) return;
    this.#results[end] = value;
    this.#missing--;
    if (this.#missing > 0) return;
    this.stop();
    const results = this.#results.map((result) => result ?? {});
    const [only] = results;
    this.#settle({
      kind: 'succeeded',
      value: results.length === 1 && only ? only : listValue(results),
    });
  }

  /** Whether another step, or the list of a map around, takes the result. */
  #goesOn({ end }: PlannedStep): boolean {
    return end === undefined || this.#scope.items.length > 0;
  }

  #nameOf({ id }: PlannedStep): string {
    return id + this.#scope.items.map((item) => `[${String(item)}]`).join('');
  }

  /** `input[0]`, `input[1]`, ... become one list, kept here if it is too large to travel. */
  #argumentsOf(values: ReadonlyMap<string, Value>): Map<string, Value> {
    const args = new Map<string, Value>();
    const lists = new Map<string, Value[]>();
    for (const [name, value] of values) {
      const { base, element } = argumentOf(name);
      if (element === undefined) {
        args.set(name, value);
        continue;
      }
      const list = lists.get(base) ?? [];
      lists.set(base, list);
      list[element] = value;
    }
    for (const [name, list] of lists) args.set(name, this.#hub.travelling(listValue(list)));
    return args;
  }
}
