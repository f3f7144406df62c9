import type { Blob } from '../../protos/gen/fractory/v1/value.js';

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
/** Structured data. */
export type Json<T> = Carries<'json', T>;
/** Whatever a step may yield. */
export type Anything = Carries<'bytes' | 'text' | 'integer' | 'number' | 'json', unknown>;

/** The TypeScript type of a result. */
export type ResultOf<K> = K extends Carries<string, infer Result> ? Result : never;
