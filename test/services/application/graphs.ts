import type { Graph, Step } from '../../../protos/gen/fractory/v1/graph.js';
import type { OperationDescription } from '../../../protos/gen/fractory/v1/operation.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue, textValue } from '../../../protos/values.js';

export const one = integerValue(1n);

export function step(
  id: string,
  operation = 'math.add',
  args: Record<string, Value> = {},
  fields: Partial<Step> = {},
): Step {
  return {
    ...{ id, operation, timeoutMs: 0, retries: 0, map: undefined },
    arguments: argumentsOf(args),
    ...fields,
  };
}

/** A map over the list `input`, or over what an edge brings. */
export function map(
  id: string,
  inner: Graph,
  args: Record<string, Value> = {},
  parallelism = 0,
): Step {
  return step(id, '', args, { map: { graph: inner, parallelism } });
}

function argumentsOf(args: Record<string, Value>): Step['arguments'] {
  return Object.entries(args).map(([name, value]) => ({ name, value }));
}

/** Steps and edges; an edge is `from>to` or `from>to.argument`, one for failures begins with `!`; in a map `>to` leads the element in. */
export function graph(steps: readonly Step[], ...edges: readonly string[]): Graph {
  return {
    name: 'test',
    steps: [...steps],
    edges: edges.map((edge) => {
      const onFailure = edge.startsWith('!');
      const [from = '', end = ''] = edge.slice(onFailure ? 1 : 0).split('>');
      const [to = '', argument = ''] = end.split('.');
      return { from, to, argument, onFailure };
    }),
  };
}

/** `count` additions of one in a row, the first to `input`. */
export function chain(count: number, input: bigint, operation = 'math.add'): Graph {
  const steps = Array.from({ length: count }, (_, index) =>
    step(`s${String(index)}`, operation, index === 0 ? { input: integerValue(input) } : {}),
  );
  const edges = steps.slice(1).map(({ id }, index) => `s${String(index)}>${id}`);
  return graph(steps, ...edges);
}

const description = (
  name: string,
  args: Record<string, readonly string[]>,
  output: readonly string[],
  idempotent = true,
): OperationDescription => ({
  ...{ name, summary: '', output: [...output], idempotent },
  arguments: Object.entries(args).map(([argument, kinds]) => ({
    ...{ name: argument, summary: '', kinds: [...kinds], required: argument !== 'by' },
  })),
});

export const operations = new Map(
  [
    description('math.add', { input: ['integer'], by: ['integer'] }, ['integer']),
    description('math.join', { left: ['integer'], right: ['integer'] }, ['integer']),
    description('math.sum', { input: ['list'] }, ['integer']),
    description('math.split', { input: ['integer'] }, ['list']),
    description('math.save', { input: ['failure', 'integer'] }, ['integer']),
    description('text.read', { name: ['text'] }, ['text', 'bytes']),
    description('text.append', { input: ['text'] }, ['text'], false),
  ].map((operation) => [operation.name, operation] as const),
);

export const name = textValue('x');
