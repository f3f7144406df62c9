import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import { Continuation } from '../../protos/gen/fractory/v1/controller.js';
import type { MapBranch, MapContinuation } from '../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import type { Outgoing } from '../../services/application/graph/checked-graph.js';
import { encodeContinuation, encodeHead, INPUT } from '../kernel/graph/continuation.js';
import { placeFor } from './plan.js';
import type { PlannedGraph, PlannedMap, PlannedStep } from './plan.js';

/** A graph as it is given to the kernel. All continuations are encoded. */
export interface Composition {
  /** Steps that nothing leads to: all their arguments are fixed. */
  readonly heads: readonly Uint8Array[];
  /** Maps that nothing leads to, and their lists. */
  readonly maps: readonly { readonly head: Uint8Array; readonly list: Value }[];
  /** What is referred to by number, from 1. */
  readonly shared: readonly Uint8Array[];
  /** Hears of every failure that the graph does not handle. */
  readonly onFailure: Uint8Array;
}

/** Argument under which the reply of a run takes its value, where there is one. */
const RESULT = 'result';
const FAILURE = 'failure';

/** Names of the ends of a graph, as a reply hears them; undefined where there is one only. */
export function endNames(ends: number): string[] | undefined {
  return ends > 1 ? Array.from({ length: ends }, (_, end) => String(end)) : undefined;
}

/**
 * A graph as continuations: each step is encoded once, so the size grows with the number of steps and edges. A step that one edge leads to is nested
 * in the step before; a step with several edges in stands in `shared`.
 */
export function compose(
  graph: PlannedGraph,
  reply: { readonly success: Capability; readonly failure: Capability },
): Composition {
  const onFailure = encodeContinuation(reply.failure, FAILURE);
  const composer = new Composer(graph, 0, {
    result: (end) => encodeContinuation(reply.success, graph.ends > 1 ? String(end) : RESULT),
    failure: onFailure,
    mayRefer: true,
    maxNesting: Infinity,
  });
  const starts = graph.entries.map(({ to }) => composer.start(to));
  return {
    heads: starts.flatMap(({ head, list }) => (list ? [] : [head])),
    maps: starts.flatMap(({ head, list }) => (list ? [{ head, list }] : [])),
    shared: composer.shared,
    onFailure,
  };
}

/** Where a graph, or the graph of a map for one element, ends. */
interface Exits {
  result(end: number): Uint8Array;
  readonly failure: Uint8Array;
  /** Whether `failure` is long enough to be worth a reference. */
  readonly mayRefer: boolean;
  /** Continuations nested deeper than this are cut off and referred to. */
  readonly maxNesting: number;
}

/** Branches are opened as a whole for each element: deep nesting would cost stack. */
const MAX_NESTING_IN_BRANCH = 64;

const ITEM_EXITS: Exits = {
  result: (end) => encodeHead({ itemResult: true, argument: String(end) }),
  failure: encodeHead({ itemResult: true, argument: FAILURE }),
  mayRefer: false,
  maxNesting: MAX_NESTING_IN_BRANCH,
};

/** How a step was encoded: nested with the argument of its one edge, or at a place in `shared`. */
interface Encoded {
  readonly head: Uint8Array;
  /** 0 = it is nested. */
  readonly shared: number;
  readonly nesting: number;
}

class Composer {
  readonly shared: Uint8Array[] = [];
  readonly #exits: Exits;
  readonly #variant: number;
  readonly #steps: ReadonlyMap<string, PlannedStep>;
  readonly #encoded = new Map<string, Encoded>();
  #failure: Uint8Array | undefined;

  /** From the last step to the first: whatever comes after a step is encoded before it. */
  constructor(graph: PlannedGraph, variant: number, exits: Exits) {
    this.#exits = exits;
    this.#variant = variant;
    this.#steps = new Map(graph.steps.map((step) => [step.id, step]));
    for (const step of graph.steps.toReversed()) this.#encoded.set(step.id, this.#encode(step));
  }

  /** The head for a step at the beginning. */
  start(id: string): { readonly head: Uint8Array; readonly list: Value | undefined } {
    const step = this.#steps.get(id);
    const list = step?.map ? step.step.arguments[0]?.value : undefined;
    return { head: this.follow({ to: id, argument: '' }), list };
  }

  /** The head for the end of an edge. */
  follow({ to, argument }: Outgoing): Uint8Array {
    const encoded = this.#encoded.get(to);
    if (!encoded) throw new Error(`step ${to} comes before what leads to it`);
    return encoded.shared === 0 ? encoded.head : encodeHead({ shared: encoded.shared, argument });
  }

  #encode(step: PlannedStep): Encoded {
    const { incoming, onSuccess, onFailure, end, map, step: sent } = step;
    const inherits = this.#inheritsFailure(step);
    let nesting = 1;
    for (const { to } of onSuccess) nesting = Math.max(nesting, 1 + this.#nestingOf(to));
    if (!inherits)
      for (const { to } of onFailure) nesting = Math.max(nesting, 1 + this.#nestingOf(to));
    const isShared = incoming.length > 1 || nesting > this.#exits.maxNesting;
    const [edge] = incoming;
    const head = encodeHead({
      map: map && this.#map(step, map),
      capability: map ? undefined : placeFor(step, this.#variant).capability,
      retries: map ? 0 : sent.retries,
      argument: isShared || !edge ? INPUT : edge.argument,
      onSuccess:
        end === undefined ? onSuccess.map((one) => this.follow(one)) : [this.#exits.result(end)],
      onFailure: inherits ? [] : this.#failureOf(step),
    });
    if (!isShared) return { head, shared: 0, nesting };
    this.shared.push(head);
    return { head, shared: this.shared.length, nesting: 0 };
  }

  #nestingOf(id: string): number {
    return this.#encoded.get(id)?.nesting ?? 0;
  }

  /**
   * Whether all that leads to a step has its failures told to the same as the step itself. What begins after a failure inherits nothing: the failure
   * has been told.
   */
  #inheritsFailure(step: PlannedStep): boolean {
    const own = failureKey(step);
    if (step.incoming.length === 0) return own === '';
    return step.incoming.every(({ from, onFailure }) => {
      if (onFailure) return false;
      const before = this.#steps.get(from);
      return own === (before ? failureKey(before) : '');
    });
  }

  #failureOf({ onFailure }: PlannedStep): Uint8Array[] {
    if (onFailure.length > 0) return onFailure.map((one) => this.follow(one));
    if (!this.#exits.mayRefer) return [this.#exits.failure];
    if (!this.#failure) {
      this.shared.push(this.#exits.failure);
      this.#failure = encodeHead({ shared: this.shared.length, argument: FAILURE });
    }
    return [this.#failure];
  }

  #map({ id }: PlannedStep, map: PlannedMap): MapContinuation {
    const branches = Array.from({ length: map.branches }, (_, branch) =>
      branchOf(map, this.#variant * map.branches + branch),
    );
    return { step: id, branches, parallelism: map.parallelism };
  }
}

function branchOf(graph: PlannedGraph, variant: number): MapBranch {
  const composer = new Composer(graph, variant, ITEM_EXITS);
  const heads = graph.entries.map(({ to, argument = '' }) => composer.follow({ to, argument }));
  return {
    heads: heads.map((head) => Continuation.decode(head)),
    shared: composer.shared.map((head) => Continuation.decode(head)),
    ends: graph.ends,
  };
}

/** Who hears of a step's failure; empty = whoever hears of the failure of the graph. */
function failureKey({ onFailure }: PlannedStep): string {
  return onFailure.map(({ to, argument }) => `${to}.${argument}`).join(' ');
}
