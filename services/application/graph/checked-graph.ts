import type { Step } from '../../../protos/gen/fractory/v1/graph.js';
import type { OperationDescription } from '../../../protos/gen/fractory/v1/operation.js';

/** Where the result of a step goes, or the failure of one. */
export interface Outgoing {
  readonly to: string;
  /** Never empty: `input` where the edge names none; `input[0]` is an element of a list for `input`. */
  readonly argument: string;
}

/** What leads to a step. */
export interface Incoming {
  /** Empty: the element of the list that the map around goes through. */
  readonly from: string;
  readonly argument: string;
  readonly onFailure: boolean;
}

/** A step and its place in a graph without cycles. */
export interface OrderedStep {
  readonly id: string;
  /** As it was sent. */
  readonly step: Step;
  /** In the order of the edges. */
  readonly incoming: readonly Incoming[];
  readonly onSuccess: readonly Outgoing[];
  /** Empty: a failure is one of the whole graph. */
  readonly onFailure: readonly Outgoing[];
  /**
   * Names of all arguments that edges lead to, where the step must wait for them or may hear more than once; empty where one edge leads to it, or none.
   * Edges to the same name are alternatives.
   */
  readonly gate: readonly string[];
  /** Place of its result in the result of the graph, from 0; undefined where its result goes to other steps only. */
  readonly end: number | undefined;
  /** What a map does with each element; undefined for an operation. */
  readonly map: OrderedGraph | undefined;
}

/** How a graph begins. */
export interface Entry {
  readonly to: string;
  /** Inside a map: the argument that takes the element. */
  readonly argument: string | undefined;
}

/** A graph of good form: no cycle, and as many ends whatever fails and is handled. */
export interface OrderedGraph {
  /** In an order in which they could run. At least one. */
  readonly steps: readonly OrderedStep[];
  readonly entries: readonly Entry[];
  /** How many results it has. With several, its result is the list of them, in the order in which the steps were sent. */
  readonly ends: number;
}

/** An ordered step that fits its operation and its neighbours. */
export interface CheckedStep extends OrderedStep {
  /** Undefined for a map. */
  readonly operation: OperationDescription | undefined;
  readonly map: CheckedGraph | undefined;
}

/** A graph that may run. */
export interface CheckedGraph extends OrderedGraph {
  readonly steps: readonly CheckedStep[];
}

/** All steps of a graph, those of maps right after the map; with the map that each belongs to. */
export function* allSteps<S extends { readonly id: string; readonly map: Nested<S> | undefined }>(
  graph: Nested<S>,
  map = '',
): Generator<{ readonly step: S; readonly map: string }> {
  for (const step of graph.steps) {
    yield { step, map };
    if (step.map) yield* allSteps(step.map, step.id);
  }
}

interface Nested<S> {
  readonly steps: readonly S[];
}

/** `storage` of `storage.read`. */
export function typeOf(operation: string): string {
  return operation.split('.', 1)[0] ?? '';
}

const ELEMENT = /^(.*)\[(\d+)\]$/;

/** `input` and 2 of `input[2]`; a plain name is its own base. */
export function argumentOf(name: string): { readonly base: string; readonly element?: number } {
  const [, base, element] = ELEMENT.exec(name) ?? [];
  return base === undefined ? { base: name } : { base, element: Number(element) };
}
