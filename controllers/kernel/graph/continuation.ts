import { ContinuationHead, MapContinuation } from '../../../protos/gen/fractory/v1/controller.js';
import type { Continuation, Invocation } from '../../../protos/gen/fractory/v1/controller.js';
import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import { encode } from '../../../protos/encode.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { Continuation as ContinuationMessage } from '../../../protos/gen/fractory/v1/controller.js';
import { invalidArgument } from '../../../runtime/errors.js';
import type { FractoryError } from '../../../runtime/errors.js';

/** Argument that takes a result where the continuation names none. */
export const INPUT = 'input';

const NO_BYTES = new Uint8Array(0);

/** A continuation as it is composed: what follows is already encoded, so that nesting n steps costs n encodings, not n^2. */
export interface ComposedContinuation {
  readonly capability?: Capability | undefined;
  /** Default: `input`. */
  readonly argument?: string | undefined;
  readonly onSuccess?: readonly Uint8Array[];
  /** Empty = those of the invocation before. */
  readonly onFailure?: readonly Uint8Array[];
  /** Number of the entry of `shared` that it stands for, from 1. */
  readonly shared?: number;
  readonly map?: MapContinuation | undefined;
  readonly retries?: number;
  /** The end of an item of a map. */
  readonly itemResult?: boolean;
}

export function encodeHead(composed: ComposedContinuation): Uint8Array {
  const { capability, argument = INPUT, onSuccess = [], onFailure = [], map } = composed;
  const { shared = 0, retries = 0, itemResult = false } = composed;
  return encode(ContinuationHead, {
    capability,
    argument: argument === INPUT ? '' : argument,
    onSuccess: [...onSuccess],
    onFailure: [...onFailure],
    shared,
    map: map ? encode(MapContinuation, map) : NO_BYTES,
    retries,
    itemResult,
  });
}

/** A continuation with a capability. */
export function encodeContinuation(
  capability: Capability,
  argument: string,
  onSuccess: readonly Uint8Array[] = [],
  onFailure: readonly Uint8Array[] = [],
): Uint8Array {
  return encodeHead({ capability, argument, onSuccess, onFailure });
}

/** The encoding of continuations that a foreign client sent. */
export function encodeContinuations(continuations: readonly Continuation[]): Uint8Array[] {
  return continuations.map((continuation) => encode(ContinuationMessage, continuation));
}

/** What an invocation leaves to be done after one step, whichever way the step ends. */
export interface Rest {
  readonly onFailure: readonly Uint8Array[];
  readonly shared: readonly Uint8Array[];
  readonly receipts: readonly Uint8Array[];
  readonly hops: number;
  readonly budgetMs: number;
  readonly traceparent: string;
  readonly attempt: number;
}

/** What a continuation turns out to be. */
export type Next =
  | { readonly kind: 'invocation'; readonly invocation: Invocation }
  | {
      readonly kind: 'map';
      readonly map: MapContinuation;
      readonly onSuccess: readonly Uint8Array[];
      readonly rest: Rest;
    };

/**
 * What `encoded` stands for, with `value` as its argument (none: all of its arguments are fixed). `nowUs` = when it is sent. Throws BAD_CONTINUATION where
 * the bytes are none.
 */
export function nextOf(
  encoded: Uint8Array,
  value: Value | undefined,
  rest: Rest,
  nowUs: bigint,
): Next {
  const reference = decodeHead(encoded);
  const head = reference.shared === 0 ? reference : sharedHead(reference, rest.shared);
  const onFailure = head.onFailure.length > 0 ? head.onFailure : rest.onFailure;
  if (head.map.length > 0) {
    const map = decodeMap(head.map);
    return { kind: 'map', map, onSuccess: head.onSuccess, rest: { ...rest, onFailure } };
  }
  if (head.itemResult) throw badContinuation('it ends an item outside of a map');
  const { argument } = reference;
  const invocation = {
    id: 0n,
    capability: head.capability,
    arguments: value ? [{ name: argument === '' ? INPUT : argument, value }] : [],
    onSuccess: head.onSuccess,
    onFailure: onFailure as Uint8Array[],
    budgetMs: rest.budgetMs,
    receipts: rest.receipts as Uint8Array[],
    hops: rest.hops + 1,
    sentAtUs: nowUs,
    traceparent: rest.traceparent,
    shared: rest.shared as Uint8Array[],
    attempt: rest.attempt,
    retries: head.retries,
  };
  return { kind: 'invocation', invocation };
}

function decodeHead(encoded: Uint8Array): ContinuationHead {
  try {
    return ContinuationHead.decode(encoded);
  } catch (error) {
    throw badContinuation('its bytes are not readable', error);
  }
}

function decodeMap(encoded: Uint8Array): MapContinuation {
  try {
    return MapContinuation.decode(encoded);
  } catch (error) {
    throw badContinuation('the bytes of its map are not readable', error);
  }
}

function sharedHead({ shared }: ContinuationHead, table: readonly Uint8Array[]): ContinuationHead {
  const encoded = table[shared - 1];
  if (!encoded)
    throw badContinuation(
      `it refers to number ${String(shared)} of ${String(table.length)} shared ones`,
    );
  const head = decodeHead(encoded);
  if (head.shared !== 0) throw badContinuation('a shared one refers to another');
  return head;
}

function badContinuation(what: string, cause?: unknown): FractoryError {
  const error = invalidArgument('continuation', what, 'BAD_CONTINUATION');
  if (cause !== undefined) error.cause = cause;
  return error;
}
