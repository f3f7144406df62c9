import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import { argumentOf } from './checked-graph.js';
import type { Entry, Incoming, OrderedGraph, OrderedStep, Outgoing } from './checked-graph.js';
import type { WiredStep } from './outcomes.js';

/** A step of which is not yet known whether the graph ends there. */
export type WiredOrderedStep = Omit<OrderedStep, 'end'>;

/** Steps in the order of `sorted`, each with its edges. Both ends of each edge are there. */
export function wire(
  graph: Graph,
  sorted: readonly number[],
  maps: ReadonlyMap<string, OrderedGraph | undefined>,
): WiredOrderedStep[] {
  const incoming = new Map<string, Incoming[]>();
  const onSuccess = new Map<string, Outgoing[]>();
  const onFailure = new Map<string, Outgoing[]>();
  for (const edge of graph.edges) {
    const { from, to, onFailure: isFailure } = edge;
    const argument = edge.argument || 'input';
    add(incoming, to, { from, argument, onFailure: isFailure });
    if (from !== '') add(isFailure ? onFailure : onSuccess, from, { to, argument });
  }
  return sorted.flatMap((place) => {
    const step = graph.steps[place];
    if (!step) return [];
    const { id } = step;
    const edges = incoming.get(id) ?? [];
    return [
      {
        id,
        step,
        incoming: edges,
        map: maps.get(id),
        onSuccess: onSuccess.get(id) ?? [],
        onFailure: onFailure.get(id) ?? [],
        gate: step.map ? [] : gateFor(edges),
      },
    ];
  });
}

/** How the graph begins: with steps that no edge leads to, or where the element of a map is led. */
export function entriesOf({ id, incoming }: WiredOrderedStep): Entry[] {
  if (incoming.length === 0) return [{ to: id, argument: undefined }];
  return incoming
    .filter(({ from }) => from === '')
    .map(({ argument }): Entry => ({ to: id, argument }));
}

/** The same steps as outcomes see them. */
export function wiredSteps(steps: readonly WiredOrderedStep[], graph: Graph): WiredStep[] {
  const places = new Map(steps.map(({ id }, place) => [id, place]));
  const sentAt = new Map(graph.steps.map(({ id }, place) => [id, place]));
  return steps.map(({ id, step, incoming, onSuccess, onFailure }) => {
    const groups = new Map<string, { from: number | undefined; onFailure: boolean }[]>();
    for (const edge of incoming)
      add(groups, edge.argument, { from: places.get(edge.from), onFailure: edge.onFailure });
    return {
      id,
      isMap: step.map !== undefined,
      incoming: [...groups.values()],
      isEnd: onSuccess.length === 0,
      onSuccess: onSuccess.flatMap(({ to }) => places.get(to) ?? []),
      onFailure: onFailure.flatMap(({ to }) => places.get(to) ?? []),
      handlers: onFailure.map(({ to, argument }) => `${to}.${argument}`).join(' '),
      sentAt: sentAt.get(id) ?? 0,
    };
  });
}

/** A single edge to a plain argument needs no gate: what comes is all that will come. */
function gateFor(edges: readonly Incoming[]): string[] {
  const [first] = edges;
  if (!first) return [];
  if (edges.length === 1 && argumentOf(first.argument).element === undefined) return [];
  return [...new Set(edges.map(({ argument }) => argument))];
}

function add<T>(lists: Map<string, T[]>, key: string, one: T): void {
  const list = lists.get(key);
  if (list) list.push(one);
  else lists.set(key, [one]);
}
