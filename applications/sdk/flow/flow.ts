import {
  integerValue,
  listValue,
  numberValue,
  tensorValue,
  textValue,
} from '../../../protos/values.js';
import type { Tensor, Value } from '../../../protos/gen/fractory/v1/value.js';
import { invalidArgument } from '../../../runtime/errors.js';
import type { FractoryError } from '../../../runtime/errors.js';

/** What a flow is made of, before its steps have ids. */
export type Part =
  | {
      readonly kind: 'step';
      readonly operation: string;
      readonly arguments: Readonly<Record<string, Value>>;
      /** Argument that takes what flows in. */
      readonly input: string;
    }
  | { readonly kind: 'sequence'; readonly parts: readonly Part[] }
  | { readonly kind: 'parallel'; readonly branches: readonly Part[] }
  | { readonly kind: 'alongside'; readonly part: Part }
  | {
      readonly kind: 'join';
      /** Arguments, in the order of the flows before; absent: they become one list. */
      readonly names?: readonly string[];
      readonly part: Part;
    }
  | { readonly kind: 'recovery'; readonly part: Part; readonly handler: Part }
  | {
      readonly kind: 'map';
      readonly part: Part;
      readonly parallelism: number;
      /** The list, where it is known before the run. */
      readonly elements?: Value;
    }
  | { readonly kind: 'limits'; readonly part: Part; readonly limits: StepLimits };

/** What a step may take. */
export interface StepLimits {
  /** Longest time from its admission to its end, ms. Default: what is left of the run's budget. */
  readonly timeoutMs?: number;
  /** How often it is tried again when it fails for want of room, time or another node; idempotent operations only. Default 0. */
  readonly retries?: number;
}

/**
 * Steps and how results flow between them. `In` is what must flow in, `Out` what flows out; both exist for the compiler only. A flow that takes
 * more kinds fits where one that takes fewer is wanted.
 */
export interface Flow<In, Out> {
  readonly part: Part;
  readonly accepts?: ((input: In) => void) | undefined;
  readonly yields?: Out | undefined;
}

/** A flow whatever it takes and yields. */
export type AnyFlow = Flow<never, unknown>;

/** Plain data as an argument: bigint = exact integer. `undefined` is left out. */
export type ArgumentInput =
  string | bigint | number | Tensor | readonly ArgumentInput[] | undefined;

/** A flow of one step; for operations that the SDK has no builder for. `input` names the argument that takes what flows in. */
export function step<In, Out>(
  operation: string,
  args: Readonly<Record<string, ArgumentInput>> = {},
  input = 'input',
): Flow<In, Out> {
  const values: Record<string, Value> = {};
  for (const [name, given] of Object.entries(args))
    if (given !== undefined) values[name] = valueOf(given);
  return { part: { kind: 'step', operation, arguments: values, input } };
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
export function sequence<A, B, C, D, E, F, G>(
  first: Flow<A, B>,
  second: Flow<B, C>,
  third: Flow<C, D>,
  fourth: Flow<D, E>,
  fifth: Flow<E, F>,
  sixth: Flow<F, G>,
): Flow<A, G>;
export function sequence(...flows: readonly AnyFlow[]): AnyFlow {
  return { part: { kind: 'sequence', parts: flows.map(({ part }) => part) } };
}

/** The same flow `times` over; it must yield what it takes. Zero times is no step at all. */
export function repeat<T>(times: number, flow: Flow<T, T>): Flow<T, T> {
  return { part: { kind: 'sequence', parts: Array.from({ length: times }, () => flow.part) } };
}

/**
 * The same flow with limits on each of its steps; limits that a step has already stay. Throws INVALID_ARGUMENT, reason BAD_FLOW, for what is no whole
 * number of milliseconds or tries.
 */
export function withLimits<In, Out>(flow: Flow<In, Out>, limits: StepLimits): Flow<In, Out> {
  checkCount('timeoutMs', limits.timeoutMs, 1);
  checkCount('retries', limits.retries, 0);
  return { part: { kind: 'limits', part: flow.part, limits } };
}

const MAX_COUNT = 2 ** 32 - 1;

/** Throws BAD_FLOW unless a setting of a flow is a whole number from `least` up, or missing. */
export function checkCount(name: string, count: number | undefined, least: number): void {
  if (count === undefined) return;
  if (Number.isInteger(count) && count >= least && count <= MAX_COUNT) return;
  throw badFlow(
    `${name}: expected a whole number, ${String(least)} or more, found ${String(count)}`,
  );
}

/** A flow that can't be a graph. */
export function badFlow(description: string): FractoryError {
  return invalidArgument('flow', description, 'BAD_FLOW');
}

export function valueOf(given: Exclude<ArgumentInput, undefined>): Value {
  if (typeof given === 'bigint') return integerValue(given);
  if (typeof given === 'number') return numberValue(given);
  if (typeof given === 'string') return textValue(given);
  if ('datatype' in given) return tensorValue(given);
  return listValue(given.flatMap((element) => (element === undefined ? [] : [valueOf(element)])));
}
