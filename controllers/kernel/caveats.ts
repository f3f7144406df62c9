import { status } from '@grpc/grpc-js';

import { Caveat } from '../../protos/gen/fractory/v1/capability.js';
import { isEncodedBy } from '../../protos/encode.js';
import type { StepScope } from '../../protos/gen/fractory/v1/capability.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../runtime/errors.js';

/** What all caveats of a capability together leave. */
export interface Allowance {
  /** Earliest expiry, ms since 1970; undefined = none. */
  readonly expiresAtMs: number | undefined;
  /** Arguments that are fixed. */
  readonly bound: ReadonlyMap<string, Value>;
  /** The one step that may use the capability; undefined = anybody. */
  readonly step: StepScope | undefined;
}

const UNLIMITED: Allowance = { expiresAtMs: undefined, bound: new Map(), step: undefined };

export function denied(message: string): FractoryError {
  return new FractoryError(status.PERMISSION_DENIED, 'CAPABILITY_DENIED', message);
}

/** Conjunction of encoded caveats. Throws CAPABILITY_DENIED for a caveat that this version doesn't fully understand. */
export function allowanceOf(caveats: readonly Uint8Array[]): Allowance {
  let allowance = UNLIMITED;
  for (const encoded of caveats) allowance = restrict(allowance, decodeStrictly(encoded));
  return allowance;
}

/** A caveat that we would not write in exactly these bytes has something in it that we don't know: it denies. */
function decodeStrictly(encoded: Uint8Array): Caveat {
  let caveat: Caveat;
  try {
    caveat = Caveat.decode(encoded);
  } catch {
    throw denied('the capability has a caveat that is not readable');
  }
  if (!isEncodedBy(Caveat, caveat, encoded))
    throw denied('the capability has a caveat that this node does not know');
  return caveat;
}

function restrict(allowance: Allowance, caveat: Caveat): Allowance {
  return {
    expiresAtMs: earlier(allowance.expiresAtMs, Number(caveat.expiresAtMs)),
    bound: caveat.arguments.length === 0 ? allowance.bound : bind(allowance.bound, caveat),
    step: sameStep(allowance.step, caveat.step),
  };
}

function earlier(known: number | undefined, added: number): number | undefined {
  if (added === 0) return known;
  return known === undefined ? added : Math.min(known, added);
}

function bind(known: ReadonlyMap<string, Value>, caveat: Caveat): ReadonlyMap<string, Value> {
  const bound = new Map(known);
  for (const { name, value } of caveat.arguments) {
    if (bound.has(name)) throw denied(`argument ${name} is already fixed by an earlier caveat`);
    if (!value?.kind) throw denied(`argument ${name} is fixed to no value that this node knows`);
    bound.set(name, value);
  }
  return bound;
}

function sameStep(
  known: StepScope | undefined,
  added: StepScope | undefined,
): StepScope | undefined {
  if (!known || !added) return known ?? added;
  if (known.run !== added.run || known.step !== added.step)
    throw denied('the capability is limited to two different steps');
  return known;
}
