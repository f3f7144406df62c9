import type { Graph, Step } from '../../../protos/gen/fractory/v1/graph.js';
import type { OperationDescription } from '../../../protos/gen/fractory/v1/operation.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { integerValue, textValue } from '../../../protos/values.js';

export const one = integerValue(1n);

export function step(id: string, operation = 'math.add', args: Record<string, Value> = {}): Step {
  return {
    ...{ id, operation },
    arguments: Object.entries(args).map(([name, value]) => ({ name, value })),
  };
}

/** Steps and edges; an edge is `from>to` or `from>to.argument`. */
export function graph(steps: readonly Step[], ...edges: readonly string[]): Graph {
  return {
    name: 'test',
    steps: [...steps],
    edges: edges.map((edge) => {
      const [from = '', end = ''] = edge.split('>');
      const [to = '', argument = ''] = end.split('.');
      return { from, to, argument };
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
): OperationDescription => ({
  ...{ name, summary: '', output: [...output], idempotent: true },
  arguments: Object.entries(args).map(([argument, kinds]) => ({
    ...{ name: argument, summary: '', kinds: [...kinds], required: argument !== 'by' },
  })),
});

export const operations = new Map(
  [
    description('math.add', { input: ['integer'], by: ['integer'] }, ['integer']),
    description('math.join', { left: ['integer'], right: ['integer'] }, ['integer']),
    description('text.read', { name: ['text'] }, ['text', 'bytes']),
  ].map((operation) => [operation.name, operation] as const),
);

export const name = textValue('x');
