import type { Edge, Graph, Step } from '../../../protos/gen/fractory/v1/graph.js';
import { limitExceeded } from '../../../runtime/errors.js';
import type { FieldViolation } from '../../../runtime/errors.js';
import { argumentOf } from './checked-graph.js';

const STEP_ID = /^[A-Za-z0-9._-]{1,64}$/;
const OPERATION = /^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/;
const ARGUMENT = /^[A-Za-z][A-Za-z0-9_]*(\[(0|[1-9][0-9]{0,6})\])?$/;

/** Each map around a step costs its capabilities one caveat. */
const MAX_MAP_DEPTH = 8;
const MAX_RETRIES = 100;
const MAX_PARALLELISM = 1024;

/** Counts the steps, those inside maps too. Nothing that follows goes deeper into maps than is allowed here. */
export function checkSize(graph: Graph, maxSteps: number): void {
  let steps = 0;
  let level = [graph];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_MAP_DEPTH)
      throw limitExceeded('max_map_depth', depth, MAX_MAP_DEPTH, { what: 'the depth of maps' });
    for (const one of level) steps += one.steps.length;
    if (steps > maxSteps) throw limitExceeded('max_steps', steps, maxSteps);
    level = level.flatMap((one) => one.steps.flatMap(({ map }) => (map?.graph ? [map.graph] : [])));
  }
}

/** A graph and where it stands: `graph`, `graph.steps[2].map.graph`. */
export interface PlacedGraph {
  readonly graph: Graph;
  readonly path: string;
  readonly isInMap: boolean;
}

/** What is wrong with the steps by themselves. `seen`: ids so far in the outermost graph. */
export function* stepViolations(
  { graph, path }: PlacedGraph,
  seen: Set<string>,
): Generator<FieldViolation> {
  if (graph.steps.length === 0)
    yield { field: `${path}.steps`, description: 'a graph has at least one step' };
  for (const [index, step] of graph.steps.entries()) {
    const field = `${path}.steps[${String(index)}]`;
    if (!STEP_ID.test(step.id))
      yield { field: `${field}.id`, description: `${JSON.stringify(step.id)} is not an id` };
    if (seen.has(step.id))
      yield { field: `${field}.id`, description: `${step.id} stands for two steps` };
    seen.add(step.id);
    if (step.map) yield* mapViolations(step, field);
    else if (!OPERATION.test(step.operation))
      yield {
        field: `${field}.operation`,
        description: `${JSON.stringify(step.operation)} is not of the form type.operation`,
      };
    if (step.retries > MAX_RETRIES)
      yield {
        field: `${field}.retries`,
        description: `is ${String(step.retries)}, the most is ${String(MAX_RETRIES)}`,
      };
  }
}

function* mapViolations(step: Step, field: string): Generator<FieldViolation> {
  const { map, operation, arguments: args, timeoutMs, retries } = step;
  if (!map?.graph) yield { field: `${field}.map.graph`, description: 'is missing' };
  if (operation !== '')
    yield { field: `${field}.operation`, description: 'a map has no operation of its own' };
  if (timeoutMs !== 0)
    yield { field: `${field}.timeout_ms`, description: 'is for the steps inside, not for a map' };
  if (retries !== 0)
    yield { field: `${field}.retries`, description: 'is for the steps inside, not for a map' };
  if ((map?.parallelism ?? 0) > MAX_PARALLELISM)
    yield {
      field: `${field}.map.parallelism`,
      description: `is ${String(map?.parallelism)}, the most is ${String(MAX_PARALLELISM)}`,
    };
  for (const [index, { name }] of args.entries())
    if (name !== 'input')
      yield {
        field: `${field}.arguments[${String(index)}]`,
        description: `a map takes its list as input, not ${name}`,
      };
}

/** What is wrong with the edges, given the steps. None: both ends of each are there. */
export function* edgeViolations({ graph, path, isInMap }: PlacedGraph): Generator<FieldViolation> {
  const byId = new Map(graph.steps.map((step) => [step.id, step]));
  const seen = new Set<string>();
  for (const [index, edge] of graph.edges.entries()) {
    const field = `${path}.edges[${String(index)}]`;
    const { from, to, argument, onFailure } = edge;
    if (from === '' && isInMap) {
      if (onFailure)
        yield { field: `${field}.on_failure`, description: 'an element of a list can not fail' };
    } else if (from === '')
      yield { field: `${field}.from`, description: 'is empty, which only a graph in a map allows' };
    else if (!byId.has(from))
      yield { field: `${field}.from`, description: `there is no step ${from}` };
    if (!byId.has(to)) yield { field: `${field}.to`, description: `there is no step ${to}` };
    if (argument !== '' && !ARGUMENT.test(argument))
      yield {
        field: `${field}.argument`,
        description: `${JSON.stringify(argument)} is not the name of an argument`,
      };
    else if (byId.get(to)?.map && argument !== '' && argument !== 'input')
      yield {
        field: `${field}.argument`,
        description: `map ${to} takes a list as input, not ${argument}`,
      };
    const key = JSON.stringify([from, to, argument || 'input', onFailure]);
    if (seen.has(key)) yield { field, description: 'is there twice' };
    seen.add(key);
  }
  yield* listViolations(graph.edges, path);
  if (isInMap) yield* startViolations(graph, path);
}

/** Elements must be numbered 0, 1, ... without a gap, and come instead of the whole list. */
function* listViolations(edges: readonly Edge[], path: string): Generator<FieldViolation> {
  const lists = new Map<string, { to: string; base: string; elements: Set<number> }>();
  const wholes = new Set<string>();
  for (const { to, argument } of edges) {
    const { base, element } = argumentOf(argument || 'input');
    const key = JSON.stringify([to, base]);
    if (element === undefined) {
      wholes.add(key);
      continue;
    }
    const list = lists.get(key) ?? { to, base, elements: new Set() };
    lists.set(key, list);
    list.elements.add(element);
  }
  for (const [key, { to, base, elements }] of lists) {
    const field = `${path}.edges`;
    if (wholes.has(key))
      yield {
        field,
        description: `step ${to} takes ${base} both whole and by its elements`,
      };
    const sorted = [...elements].sort((one, other) => one - other);
    const gap = sorted.findIndex((element, place) => element !== place);
    if (gap >= 0)
      yield {
        field,
        description: `no edge leads to ${base}[${String(gap)}] of step ${to}, but one to ${base}[${String(sorted.at(-1))}] does`,
      };
  }
}

function* startViolations({ steps, edges }: Graph, path: string): Generator<FieldViolation> {
  const targets = new Set(edges.map(({ to }) => to));
  for (const { id } of steps)
    if (!targets.has(id))
      yield {
        field: `${path}.edges`,
        description: `no edge leads to step ${id}; in a map an edge from "" leads the element in`,
      };
}
