import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { integerValue, numberValue, textValue } from '../../protos/values.js';

/** One step before it has an id. */
export interface StepTemplate {
  readonly operation: string;
  readonly arguments: Readonly<Record<string, Value>>;
  /** Argument that takes the result of the step before. */
  readonly input: string;
}

/**
 * Steps in a row. `In` is what must flow in, `Out` what flows out; both exist for the compiler only. A flow that takes more kinds fits where
 * one that takes fewer is wanted.
 */
export interface Flow<In, Out> {
  readonly steps: readonly StepTemplate[];
  readonly accepts?: ((input: In) => void) | undefined;
  readonly yields?: Out | undefined;
}

/** Plain data as an argument: bigint = exact integer. `undefined` is left out. */
export type ArgumentInput = string | bigint | number | undefined;

/** A flow of one step; for operations that the SDK has no builder for. */
export function step<In, Out>(
  operation: string,
  args: Readonly<Record<string, ArgumentInput>> = {},
  input = 'input',
): Flow<In, Out> {
  const values: Record<string, Value> = {};
  for (const [name, given] of Object.entries(args))
    if (given !== undefined) values[name] = valueOf(given);
  return { steps: [{ operation, arguments: values, input }] };
}

/** Puts flows one after the other: what one yields flows into the next. An edge that doesn't fit is a compile error. */
export function sequence<A, B>(first: Flow<A, B>): Flow<A, B>;
export function sequence<A, B, C>(first: Flow<A, B>, second: Flow<B, C>): Flow<A, C>;
export function sequence<A, B, C, D>(
  first: Flow<A, B>,
  second: Flow<B, C>,
  third: Flow<C, D>,
): Flow<A, D>;
export function sequence<A, B, C, D, E>(
  first: Flow<A, B>,
  second: Flow<B, C>,
  third: Flow<C, D>,
  fourth: Flow<D, E>,
): Flow<A, E>;
export function sequence<A, B, C, D, E, F>(
  first: Flow<A, B>,
  second: Flow<B, C>,
  third: Flow<C, D>,
  fourth: Flow<D, E>,
  fifth: Flow<E, F>,
): Flow<A, F>;
export function sequence(...flows: readonly Flow<never, unknown>[]): Flow<never, unknown> {
  return { steps: flows.flatMap((flow) => flow.steps) };
}

/** The same flow `times` over; it must yield what it takes. Zero times is no step at all. */
export function repeat<T>(times: number, flow: Flow<T, T>): Flow<T, T> {
  return { steps: Array.from({ length: times }, () => flow.steps).flat() };
}

/** The graph of a flow: ids are the verb and its place, such as `read-1`. */
export function graphOf(name: string, flow: Flow<never, unknown>): Graph {
  const ids = flow.steps.map(
    ({ operation }, index) => `${operation.split('.').at(-1) ?? ''}-${String(index + 1)}`,
  );
  const id = (index: number): string => ids[index] ?? '';
  return {
    name,
    steps: flow.steps.map(({ operation, arguments: args }, index) => ({
      id: id(index),
      operation,
      arguments: Object.entries(args).map(([argument, value]) => ({ name: argument, value })),
    })),
    edges: flow.steps.slice(1).map(({ input }, index) => ({
      from: id(index),
      to: id(index + 1),
      argument: input === 'input' ? '' : input,
    })),
  };
}

function valueOf(given: string | bigint | number): Value {
  if (typeof given === 'bigint') return integerValue(given);
  return typeof given === 'number' ? numberValue(given) : textValue(given);
}
