import type { OperationDescription } from '../../../protos/gen/fractory/v1/operation.js';
import { kindOf } from '../../../protos/values.js';
import type { FieldViolation } from '../../../runtime/errors.js';
import { argumentOf, typeOf } from './checked-graph.js';
import type { Incoming, OrderedStep } from './checked-graph.js';

export type Operations = ReadonlyMap<string, OperationDescription>;

/** What is wrong with a step, given its operation: names, kinds, missing arguments, retries of what must not be done twice. */
export function* stepFitViolations(
  ordered: OrderedStep,
  operation: OperationDescription,
): Generator<FieldViolation> {
  const { id, step } = ordered;
  const known = new Map(operation.arguments.map((argument) => [argument.name, argument]));
  const given = new Set<string>();
  for (const { name, value } of step.arguments) {
    const field = fieldOf(id, name);
    const argument = known.get(name);
    const kind = kindOf(value);
    if (given.has(name)) yield { field, description: 'is given twice' };
    given.add(name);
    if (!argument)
      yield { field, description: `${operation.name} takes ${[...known.keys()].join(', ')}` };
    else if (kind === undefined || !argument.kinds.includes(kind))
      yield {
        field,
        description: `is ${kind ?? 'empty'}, expected ${argument.kinds.join(' or ')}`,
      };
  }
  yield* edgeEndViolations(ordered, operation, given);
  for (const argument of operation.arguments)
    if (argument.required && !given.has(argument.name))
      yield { field: fieldOf(id, argument.name), description: `${operation.name} needs it` };
  if (step.retries > 0 && !operation.idempotent)
    yield {
      field: `step ${id}, retries`,
      description: `${operation.name} is not idempotent: doing it twice is not the same as doing it once`,
    };
}

/** Adds to `given` what edges lead to. */
function* edgeEndViolations(
  { id, incoming }: OrderedStep,
  operation: OperationDescription,
  given: Set<string>,
): Generator<FieldViolation> {
  const bases = new Set(incoming.map(({ argument }) => argumentOf(argument).base));
  for (const base of bases) {
    const field = fieldOf(id, base);
    if (given.has(base)) yield { field, description: 'is given and is also the end of an edge' };
    given.add(base);
    if (!operation.arguments.some(({ name }) => name === base))
      yield {
        field,
        description: `${operation.name} takes no argument ${base}, so no edge can lead there`,
      };
  }
}

/** What is wrong with a map's own list. */
export function* mapFitViolations({ id, step, incoming }: OrderedStep): Generator<FieldViolation> {
  const field = fieldOf(id, 'input');
  if (step.arguments.length > 1) yield { field, description: 'is given twice' };
  const [given] = step.arguments;
  if (given && incoming.length > 0)
    yield { field, description: 'is given and is also the end of an edge' };
  if (!given && incoming.length === 0) yield { field, description: 'a map needs a list' };
  if (given && kindOf(given.value) !== 'list')
    yield { field, description: `is ${kindOf(given.value) ?? 'empty'}, expected list` };
}

/** Whether what an edge brings fits where it leads. Nothing is known about the elements of a list. */
export function* edgeFitViolations(
  target: OrderedStep,
  edge: Incoming,
  source: OrderedStep,
  operations: Operations,
): Generator<FieldViolation> {
  const { base, element } = argumentOf(edge.argument);
  const kinds = edge.onFailure ? ['failure'] : outputOf(source, operations);
  const takes = acceptedBy(target, base, operations);
  if (!kinds || !takes) return;
  const fits =
    element === undefined ? kinds.some((kind) => takes.includes(kind)) : takes.includes('list');
  if (fits) return;
  const what = edge.onFailure
    ? `a failure of ${source.id}`
    : `${nameOf(source)} yields ${kinds.join(' or ')}`;
  yield {
    field: fieldOf(target.id, edge.argument),
    description:
      element === undefined
        ? `${what}${edge.onFailure ? ' leads here' : ''}, ${nameOf(target)} takes ${takes.join(' or ')}`
        : `${nameOf(target)} takes ${takes.join(' or ')} as ${base}, not a list`,
  };
}

/** Kinds of what a step may yield; undefined where its operation is not known. */
function outputOf(
  { map, step }: OrderedStep,
  operations: Operations,
): readonly string[] | undefined {
  return map ? ['list'] : operations.get(step.operation)?.output;
}

function acceptedBy(
  { map, step }: OrderedStep,
  argument: string,
  operations: Operations,
): readonly string[] | undefined {
  if (map) return ['list'];
  return operations.get(step.operation)?.arguments.find(({ name }) => name === argument)?.kinds;
}

export function unknownOperation(
  { id, step }: OrderedStep,
  operations: Operations,
): FieldViolation {
  const alike = [...operations.keys()].filter((name) => typeOf(name) === typeOf(step.operation));
  const hint = alike.length > 0 ? `; there are ${alike.join(', ')}` : '';
  return {
    field: `step ${id}`,
    description: `there is no operation ${step.operation}${hint}`,
  };
}

const nameOf = ({ step, map, id }: OrderedStep): string => (map ? `map ${id}` : step.operation);

const fieldOf = (step: string, argument: string): string => `step ${step}, argument ${argument}`;
