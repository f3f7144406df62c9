import type { All, Failed, List, Named, None, ResultOf } from '../kinds.js';
import { checkCount, valueOf } from './flow.js';
import type { AnyFlow, ArgumentInput, Flow } from './flow.js';

/** What all of these flows take. */
type InputOf<Flows> = (
  Flows extends Flow<infer In, unknown> ? (input: In) => void : never
) extends (input: infer In) => void
  ? In
  : never;

type OutputOf<F> = F extends Flow<never, infer Out> ? Out : never;

/** Leads the same input into all flows at once. They yield one result each: `join` them, or let them be the end of the graph. */
export function parallel<const Flows extends readonly AnyFlow[]>(
  ...flows: Flows
): Flow<InputOf<Flows[number]>, All<{ readonly [Index in keyof Flows]: OutputOf<Flows[Index]> }>> {
  return { part: { kind: 'parallel', branches: flows.map(({ part }) => part) } };
}

/** Yields what flows in beside what the flow makes of it. */
export function alongside<In, Out>(flow: Flow<In, Out>): Flow<In, All<readonly [In, Out]>> {
  return { part: { kind: 'alongside', part: flow.part } };
}

/** Waits for all flows of `parallel` and leads their results, as one list in their order, into a step. */
export function join<Element, Out>(
  flow: Flow<List<Element>, Out>,
): Flow<All<readonly Element[]>, Out>;
/** Waits for all flows of `parallel` and leads their results into arguments of a step, in the order of the names. */
export function join<const Names extends readonly string[], Inputs, Out>(
  names: [keyof Inputs] extends [Names[number]] ? Names : never,
  flow: Flow<Named<Inputs>, Out>,
): Flow<
  All<{
    readonly [Index in keyof Names]: Names[Index] extends keyof Inputs
      ? Inputs[Names[Index]]
      : never;
  }>,
  Out
>;
export function join(
  ...given: readonly [AnyFlow] | readonly [readonly string[], AnyFlow]
): AnyFlow {
  return given.length === 1
    ? { part: { kind: 'join', part: given[0].part } }
    : { part: { kind: 'join', names: given[0], part: given[1].part } };
}

/**
 * Where a step of `flow` fails, the failure flows into `handler` instead, and the run goes on with what that yields. Without it a failure ends
 * the run (inside a map: the map).
 */
export function onFailure<In, Out, Handled>(
  flow: Flow<In, Out>,
  handler: Flow<Failed, Handled>,
): Flow<In, Out | Handled> {
  return { part: { kind: 'recovery', part: flow.part, handler: handler.part } };
}

export interface MapOptions {
  /** Elements under way at a time. Default 8. */
  readonly parallelism?: number;
}

/** Does the flow with each element of a list, several at a time, and yields the results in the order of the elements. */
export function map<In, Out>(flow: Flow<In, Out>, options?: MapOptions): Flow<List<In>, List<Out>>;
/** The same for a list that is known before the run. */
export function map<In, Out>(
  flow: Flow<In, Out>,
  options: MapOptions & { readonly elements: readonly (ResultOf<In> & ArgumentInput)[] },
): Flow<None, List<Out>>;
export function map(
  flow: AnyFlow,
  { parallelism = 0, elements }: MapOptions & { readonly elements?: readonly ArgumentInput[] } = {},
): AnyFlow {
  const { part } = flow;
  checkCount('parallelism', parallelism, 0);
  if (elements === undefined) return { part: { kind: 'map', part, parallelism } };
  return { part: { kind: 'map', part, parallelism, elements: valueOf(elements) } };
}
