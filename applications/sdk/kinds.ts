import type { Blob, Failure, Tensor as TensorData } from '../../protos/gen/fractory/v1/value.js';

/** What flows along an edge, for the compiler: a kind of value, and the TypeScript type that a result of it becomes. */
export interface Carries<Kind extends string, Result> {
  readonly kind: Kind;
  readonly result: Result;
}

/** Nothing flows in: such a flow can start a graph. */
export type None = Carries<'none', never>;
/** Bytes with a media type. */
export type Bytes = Carries<'bytes', Blob>;
export type Text = Carries<'text', string>;
/** An exact integer of any size. */
export type Integer = Carries<'integer', bigint>;
/** A double. */
export type Double = Carries<'number', number>;
/** A dense tensor: datatype, shape and bytes; `numbersOf` reads them. */
export type Tensor = Carries<'tensor', TensorData>;
/** Structured data. */
export type Json<T> = Carries<'json', T>;
/** Why a step failed: what the handler of `onFailure` takes. */
export type Failed = Carries<'failure', Failure>;
/** Several values of one kind, in order. */
export interface List<Element> extends Carries<'list', readonly ResultOf<Element>[]> {
  readonly element: Element;
}
/** Whatever a step may yield. */
export type Anything = Carries<
  'bytes' | 'text' | 'integer' | 'number' | 'tensor' | 'json' | 'list' | 'failure',
  unknown
>;

/** What several flows yield, one each: `join` leads them into one step; at the end of a graph they are its result. */
export interface All<Parts extends readonly unknown[]> extends Carries<
  'all',
  { readonly [Index in keyof Parts]: ResultOf<Parts[Index]> }
> {
  readonly parts: Parts;
}

/** Several arguments by name, all from edges: what a step takes that follows `join([...], step)`. */
export interface Named<Inputs> extends Carries<'named', never> {
  readonly inputs: Inputs;
}

/** The TypeScript type of a result. */
export type ResultOf<K> = K extends Carries<string, infer Result> ? Result : never;
