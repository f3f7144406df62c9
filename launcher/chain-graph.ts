import type { Graph, Step } from '../protos/gen/fractory/v1/graph.js';
import type { Value } from '../protos/gen/fractory/v1/value.js';

/** One step of a chain, with what is given to it besides its input. */
export function step(
  id: string,
  operation: string,
  given: Readonly<Record<string, Value>> = {},
): Step {
  const args = Object.entries(given).map(([name, value]) => ({ name, value }));
  return { id, operation, arguments: args, timeoutMs: 0, retries: 0 };
}

/** Each step's result is the `input` of the next. */
export function chain(name: string, steps: readonly Step[]): Graph {
  const edges = steps.slice(1).map(({ id }, index) => ({
    ...{ from: steps[index]?.id ?? '', to: id },
    ...{ argument: '', onFailure: false },
  }));
  return { name, steps: [...steps], edges };
}
