import { status } from '@grpc/grpc-js';

import type { Edge, Graph, Step } from '../../protos/gen/fractory/v1/graph.js';
import type { OperationDescription } from '../../protos/gen/fractory/v1/operation.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { kindOf } from '../../protos/values.js';
import { FractoryError, limitExceeded } from '../../runtime/errors.js';
import type { FieldViolation } from '../../runtime/errors.js';

/** One step of a checked graph. */
export interface SequencedStep {
  readonly id: string;
  readonly operation: OperationDescription;
  readonly arguments: readonly { readonly name: string; readonly value: Value }[];
  /** Argument that takes the result of the step before; undefined at the first step. */
  readonly inputArgument: string | undefined;
}

/** A graph that may run: its steps in order. At least one. */
export type Sequence = readonly [SequencedStep, ...SequencedStep[]];

const STEP_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** Checks the form of a graph and puts its steps in order; all that is wrong is told at once. */
export function orderSteps(graph: Graph, maxSteps: number): readonly [Step, Edge | undefined][] {
  if (graph.steps.length > maxSteps) throw limitExceeded('max_steps', graph.steps.length, maxSteps);
  const violations = [...stepViolations(graph), ...edgeViolations(graph)];
  if (violations.length > 0) throw badGraph(violations);
  return followEdges(graph);
}

/** Checks ordered steps against the operations that there are: names, arguments, and whether results fit. */
export function checkSteps(
  ordered: readonly [Step, Edge | undefined][],
  operations: ReadonlyMap<string, OperationDescription>,
): Sequence {
  const violations: FieldViolation[] = [];
  const sequence: SequencedStep[] = [];
  let before: OperationDescription | undefined;
  for (const [step, edge] of ordered) {
    const operation = operations.get(step.operation);
    if (!operation) {
      violations.push(unknownOperation(step, operations));
      before = undefined;
      continue;
    }
    const inputArgument = edge && (edge.argument || 'input');
    violations.push(...argumentViolations(step, operation, inputArgument));
    if (inputArgument !== undefined && before)
      violations.push(...fitViolations(step, operation, inputArgument, before));
    sequence.push({ id: step.id, operation, arguments: valuesOf(step), inputArgument });
    before = operation;
  }
  const [first, ...rest] = sequence;
  if (violations.length > 0 || !first) throw badGraph(violations);
  return [first, ...rest];
}

/** `storage` of `storage.read`. */
export function typeOf(operation: string): string {
  return operation.split('.', 1)[0] ?? '';
}

function valuesOf(step: Step): { name: string; value: Value }[] {
  return step.arguments.map(({ name, value }) => ({ name, value: value ?? {} }));
}

function* stepViolations({ steps }: Graph): Generator<FieldViolation> {
  if (steps.length === 0)
    yield { field: 'graph.steps', description: 'a graph has at least one step' };
  const seen = new Set<string>();
  for (const [index, step] of steps.entries()) {
    const field = `graph.steps[${String(index)}]`;
    if (!STEP_ID.test(step.id))
      yield { field: `${field}.id`, description: `${JSON.stringify(step.id)} is not an id` };
    if (seen.has(step.id))
      yield { field: `${field}.id`, description: `${step.id} stands for two steps` };
    seen.add(step.id);
    if (!/^[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*$/.test(step.operation))
      yield {
        field: `${field}.operation`,
        description: `${JSON.stringify(step.operation)} is not of the form type.operation`,
      };
  }
}

function* edgeViolations({ steps, edges }: Graph): Generator<FieldViolation> {
  const ids = new Set(steps.map((step) => step.id));
  const sources = new Set<string>();
  const targets = new Set<string>();
  for (const [index, { from, to }] of edges.entries()) {
    const field = `graph.edges[${String(index)}]`;
    for (const [end, id] of Object.entries({ from, to }))
      if (!ids.has(id)) yield { field: `${field}.${end}`, description: `there is no step ${id}` };
    if (sources.has(from))
      yield {
        field,
        description: `${from} has two edges out; fan-out is not supported yet, a graph is one sequence`,
      };
    if (targets.has(to))
      yield {
        field,
        description: `${to} has two edges in; joins are not supported yet, a graph is one sequence`,
      };
    sources.add(from);
    targets.add(to);
  }
  const starts = steps.filter((step) => !targets.has(step.id));
  if (steps.length > 0 && starts.length === 0)
    yield { field: 'graph.edges', description: 'they form a cycle: no step comes first' };
  if (starts.length > 1) {
    const names = starts
      .map((step) => step.id)
      .slice(0, 5)
      .join(', ');
    yield {
      field: 'graph.edges',
      description: `several steps have no edge in (${names}); a graph is one sequence, join its steps by edges`,
    };
  }
}

/** One start, at most one edge in and out per step: what is not reached from the start lies on a cycle. */
function followEdges({ steps, edges }: Graph): [Step, Edge | undefined][] {
  const byId = new Map(steps.map((step) => [step.id, step]));
  const edgeFrom = new Map(edges.map((edge) => [edge.from, edge]));
  const targets = new Set(edges.map((edge) => edge.to));
  const ordered: [Step, Edge | undefined][] = [];
  let edge: Edge | undefined;
  let step = steps.find((candidate) => !targets.has(candidate.id));
  while (step) {
    ordered.push([step, edge]);
    edge = edgeFrom.get(step.id);
    step = edge && byId.get(edge.to);
  }
  if (ordered.length < steps.length) {
    const reached = new Set(ordered.map(([one]) => one.id));
    const cycle = steps.filter((one) => !reached.has(one.id)).map((one) => one.id);
    const description = `they form a cycle: ${cycle.slice(0, 5).join(', ')}`;
    throw badGraph([{ field: 'graph.edges', description }]);
  }
  return ordered;
}

function unknownOperation(
  step: Step,
  operations: ReadonlyMap<string, OperationDescription>,
): FieldViolation {
  const alike = [...operations.keys()].filter((name) => typeOf(name) === typeOf(step.operation));
  const hint = alike.length > 0 ? `; there are ${alike.join(', ')}` : '';
  return {
    field: `step ${step.id}`,
    description: `there is no operation ${step.operation}${hint}`,
  };
}

function* argumentViolations(
  step: Step,
  operation: OperationDescription,
  inputArgument: string | undefined,
): Generator<FieldViolation> {
  const known = new Map(operation.arguments.map((argument) => [argument.name, argument]));
  const given = new Set<string>();
  for (const { name, value } of step.arguments) {
    const field = `step ${step.id}, argument ${name}`;
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
  if (inputArgument !== undefined) {
    const field = `step ${step.id}, argument ${inputArgument}`;
    if (given.has(inputArgument))
      yield { field, description: 'is given and is also the end of an edge' };
    if (!known.has(inputArgument))
      yield {
        field,
        description: `${operation.name} takes no argument ${inputArgument}, so no edge can lead there`,
      };
    given.add(inputArgument);
  }
  for (const argument of operation.arguments)
    if (argument.required && !given.has(argument.name))
      yield {
        field: `step ${step.id}, argument ${argument.name}`,
        description: `${operation.name} needs it`,
      };
}

function* fitViolations(
  step: Step,
  operation: OperationDescription,
  inputArgument: string,
  before: OperationDescription,
): Generator<FieldViolation> {
  const argument = operation.arguments.find((candidate) => candidate.name === inputArgument);
  if (!argument || before.output.some((kind) => argument.kinds.includes(kind))) return;
  yield {
    field: `step ${step.id}, argument ${inputArgument}`,
    description: `${before.name} yields ${before.output.join(' or ')}, ${operation.name} takes ${argument.kinds.join(' or ')}`,
  };
}

function badGraph(violations: readonly FieldViolation[]): FractoryError {
  const text = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new FractoryError(status.INVALID_ARGUMENT, 'BAD_GRAPH', text, { violations });
}
