import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { silentLogger } from '../../runtime/logger.js';
import type { InvocationContext, Operation } from '../../services/adaptor.js';

/** An invocation outside of runs, into which nothing is streamed. */
function context(budgetMs: number): InvocationContext {
  return {
    ...{ signal: new AbortController().signal, budgetMs, step: undefined },
    log: silentLogger(),
    stream: () => {
      throw new Error('nothing is streamed here');
    },
  };
}

/** What the operation of that name answers, at once or later. */
export function performed(
  operations: readonly Operation[],
  name: string,
  args: Readonly<Record<string, Value>>,
  budgetMs = 10_000,
): ReturnType<Operation['perform']> {
  const operation = operations.find(({ spec }) => spec.name === name);
  if (!operation) throw new Error(`no operation ${name}`);
  return operation.perform(new Map(Object.entries(args)), context(budgetMs));
}
