import { ContinuationHead } from '../../protos/gen/fractory/v1/controller.js';
import type { Continuation, Invocation } from '../../protos/gen/fractory/v1/controller.js';
import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import { encode } from '../../protos/encode.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { Continuation as ContinuationMessage } from '../../protos/gen/fractory/v1/controller.js';

/** Argument that takes a result where the continuation names none. */
export const INPUT = 'input';

/** A continuation as it is composed: what follows is already encoded, so that nesting n steps costs n encodings, not n^2. */
export function encodeContinuation(
  capability: Capability,
  argument: string,
  onSuccess: readonly Uint8Array[] = [],
  onFailure: readonly Uint8Array[] = [],
): Uint8Array {
  return encode(ContinuationHead, {
    capability,
    argument: argument === INPUT ? '' : argument,
    onSuccess: [...onSuccess],
    onFailure: [...onFailure],
  });
}

/** The encoding of continuations that a foreign client sent. */
export function encodeContinuations(continuations: readonly Continuation[]): Uint8Array[] {
  return continuations.map((continuation) => encode(ContinuationMessage, continuation));
}

/** What an invocation leaves to be done after one step, whichever way the step ends. */
export interface Rest {
  readonly onFailure: readonly Uint8Array[];
  readonly receipts: readonly Uint8Array[];
  readonly hops: number;
  readonly budgetMs: number;
  readonly traceparent: string;
}

/** The invocation that `encoded` stands for, with `value` as its argument. `nowUs` = when it is sent. */
export function nextInvocation(
  encoded: Uint8Array,
  value: Value,
  rest: Rest,
  nowUs: bigint,
): Invocation {
  const head = ContinuationHead.decode(encoded);
  return {
    id: 0n,
    capability: head.capability,
    arguments: [{ name: head.argument === '' ? INPUT : head.argument, value }],
    onSuccess: head.onSuccess,
    onFailure: head.onFailure.length > 0 ? head.onFailure : [...rest.onFailure],
    budgetMs: rest.budgetMs,
    receipts: [...rest.receipts],
    hops: rest.hops + 1,
    sentAtUs: nowUs,
    traceparent: rest.traceparent,
  };
}
