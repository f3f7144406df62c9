import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import { kindOf } from '../../../protos/values.js';
import type { FieldViolation } from '../../../runtime/errors.js';
import type { CheckedGraph, CheckedStep, OrderedGraph, OrderedStep } from './checked-graph.js';
import { edgeFitViolations, mapFitViolations, stepFitViolations, unknownOperation } from './fit.js';
import type { Operations } from './fit.js';
import { checkSize, edgeViolations, stepViolations } from './form.js';
import type { PlacedGraph } from './form.js';
import { cycleAmong, topologicalOrder } from './order.js';
import { findOutcomes } from './outcomes.js';
import { badGraph, someOf } from './violations.js';
import { entriesOf, wire, wiredSteps } from './wiring.js';

/**
 * Checks the form of a graph and puts its steps in order; all that is wrong is told at once. RESOURCE_EXHAUSTED above `maxSteps`, steps inside maps
 * counted.
 */
export function orderGraph(graph: Graph, maxSteps: number): OrderedGraph {
  checkSize(graph, maxSteps);
  const violations: FieldViolation[] = [];
  const ordered = order({ graph, path: 'graph', isInMap: false }, new Set(), violations);
  if (violations.length > 0 || !ordered) throw badGraph(violations);
  return ordered;
}

/** Checks an ordered graph against the operations that there are: names, arguments, and whether results fit. */
export function checkGraph(graph: OrderedGraph, operations: Operations): CheckedGraph {
  const violations: FieldViolation[] = [];
  const checked = check(graph, operations, violations);
  if (violations.length > 0) throw badGraph(violations);
  return checked;
}

/** Undefined where edges lead nowhere or in a circle: nothing more can be said then. */
function order(
  placed: PlacedGraph,
  seen: Set<string>,
  violations: FieldViolation[],
): OrderedGraph | undefined {
  const { graph, path } = placed;
  violations.push(...stepViolations(placed, seen));
  const wrongEdges = [...edgeViolations(placed)];
  violations.push(...wrongEdges);
  const maps = new Map<string, OrderedGraph | undefined>();
  for (const [index, { id, map }] of graph.steps.entries()) {
    if (!map?.graph) continue;
    const inside = `${path}.steps[${String(index)}].map.graph`;
    maps.set(id, order({ graph: map.graph, path: inside, isInMap: true }, seen, violations));
  }
  const places = new Map(graph.steps.map(({ id }, place) => [id, place]));
  if (wrongEdges.length > 0 || places.size < graph.steps.length) return undefined;
  const sorted = sortSteps(graph, path, places);
  if ('description' in sorted) {
    violations.push(sorted);
    return undefined;
  }
  const wired = wire(graph, sorted, maps);
  const outcomes = findOutcomes(wiredSteps(wired, graph));
  for (const description of outcomes.problems)
    violations.push({ field: `${path}.edges`, description });
  return {
    steps: wired.map((step, place) => ({ ...step, end: outcomes.ends.get(place) })),
    entries: wired.flatMap(entriesOf),
    ends: outcomes.count,
  };
}

function sortSteps(
  { steps, edges }: Graph,
  path: string,
  places: ReadonlyMap<string, number>,
): number[] | FieldViolation {
  const arcs = edges.flatMap(({ from, to }) => {
    const [start, end] = [places.get(from), places.get(to)];
    return start === undefined || end === undefined ? [] : [{ from: start, to: end }];
  });
  const sorted = topologicalOrder(steps.length, arcs);
  if (sorted.length === steps.length) return sorted;
  const left = new Set(steps.keys());
  for (const place of sorted) left.delete(place);
  const names = cycleAmong(left, arcs).map((place) => steps[place]?.id ?? '');
  const [first = ''] = names;
  const shown =
    names.length > 8 ? `${someOf(names)}, then ${first} again` : [...names, first].join(' -> ');
  return { field: `${path}.edges`, description: `they form a cycle: ${shown}` };
}

/** Written out: a spread costs more than all the checks. */
function withOperation(
  { id, step, incoming, onSuccess, onFailure, gate, end }: OrderedStep,
  operation: CheckedStep['operation'],
  map: CheckedStep['map'],
): CheckedStep {
  return { id, step, incoming, onSuccess, onFailure, gate, end, operation, map };
}

/** Goes on after a violation, so that all are found; what it returns is good only if there was none. */
function check(
  graph: OrderedGraph,
  operations: Operations,
  violations: FieldViolation[],
): CheckedGraph {
  const byId = new Map(graph.steps.map((step) => [step.id, step]));
  const steps = graph.steps.map((step): CheckedStep => {
    const operation = step.map ? undefined : operations.get(step.step.operation);
    if (step.map) violations.push(...mapFitViolations(step));
    else if (operation) violations.push(...stepFitViolations(step, operation));
    else violations.push(unknownOperation(step, operations));
    for (const edge of step.incoming) {
      const source = byId.get(edge.from);
      if (source) violations.push(...edgeFitViolations(step, edge, source, operations));
    }
    const map = step.map && check(step.map, operations, violations);
    if (map) violations.push(...elementViolations(step, map));
    return withOperation(step, operation, map);
  });
  return { ...graph, steps };
}

/** The elements of a list that is known before the run must fit where they are led. */
function* elementViolations(
  { id, step }: OrderedStep,
  map: CheckedGraph,
): Generator<FieldViolation> {
  const list = step.arguments[0]?.value?.kind;
  if (list?.$case !== 'list') return;
  const kinds = new Set(list.value.values.map((value) => kindOf(value) ?? 'empty'));
  for (const { to, argument } of map.entries) {
    const target = map.steps.find((inner) => inner.id === to);
    const takes = target?.operation?.arguments.find(({ name }) => name === argument)?.kinds;
    const bad = takes && [...kinds].find((kind) => !takes.includes(kind));
    if (bad !== undefined)
      yield {
        field: `step ${id}, argument input`,
        description: `has an element that is ${bad}, step ${to} takes ${takes?.join(' or ') ?? ''}`,
      };
  }
}
