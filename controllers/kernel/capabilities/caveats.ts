import { status } from '@grpc/grpc-js';

import { Caveat } from '../../../protos/gen/fractory/v1/caveat.js';
import { isEncodedBy } from '../../../protos/encode.js';
import type { ByteRange, StepScope } from '../../../protos/gen/fractory/v1/caveat.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../../runtime/errors.js';
import { ALL_RIGHTS } from './token.js';

/** Part of a memory, in bytes from its beginning. */
export interface View {
  readonly offset: number;
  readonly length: number;
}

/** What all caveats of a capability together leave. */
export interface Allowance {
  /** Earliest expiry, ms since 1970; undefined = none. */
  readonly expiresAtMs: number | undefined;
  /** Arguments that are fixed. */
  readonly bound: ReadonlyMap<string, Value>;
  /** The one step that may use the capability; undefined = anybody. */
  readonly step: StepScope | undefined;
  /** Items of maps around the step, outermost first. */
  readonly items: readonly number[];
  /** Rights that remain, as bits. */
  readonly rights: number;
  /** The part of the memory that remains; undefined = all of it. */
  readonly range: View | undefined;
  /** Longest time for one try of the operation; undefined = as long as the budget. */
  readonly timeoutMs: number | undefined;
  /** Inputs that the operation waits for; undefined = it begins at once. */
  readonly gate: readonly string[] | undefined;
}

/** What there is to restrict. */
export interface Grant {
  /** Default: all. */
  readonly rights?: number;
  /** Of the memory; absent for objects that have no bytes: then a range denies. */
  readonly sizeBytes?: number | undefined;
}

type Draft = { -readonly [K in keyof Allowance]: Allowance[K] };

const NOTHING_BOUND: ReadonlyMap<string, Value> = new Map();
const NO_ITEMS: readonly number[] = [];

export function denied(message: string): FractoryError {
  return new FractoryError(status.PERMISSION_DENIED, 'CAPABILITY_DENIED', message);
}

/**
 * Conjunction of encoded caveats. Throws CAPABILITY_DENIED for a caveat that this version doesn't fully understand and for those that leave nothing.
 * Invariant: one more caveat never allows more.
 */
export function allowanceOf(
  caveats: readonly Uint8Array[],
  { rights = ALL_RIGHTS, sizeBytes }: Grant = {},
): Allowance {
  const allowance: Draft = {
    expiresAtMs: undefined,
    bound: NOTHING_BOUND,
    step: undefined,
    items: NO_ITEMS,
    rights,
    range: undefined,
    timeoutMs: undefined,
    gate: undefined,
  };
  for (const encoded of caveats) restrict(allowance, decodeStrictly(encoded), sizeBytes);
  return allowance;
}

/** Earliest expiry among caveats, readable ones only, ms since 1970: for capabilities that are useless anyway. */
export function expiryOf(caveats: readonly Uint8Array[]): number | undefined {
  let expiry: number | undefined;
  for (const encoded of caveats)
    try {
      expiry = earlier(expiry, Number(Caveat.decode(encoded).expiresAtMs));
    } catch {
      continue;
    }
  return expiry;
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

/** Applies every field that is set. */
function restrict(allowance: Draft, caveat: Caveat, sizeBytes: number | undefined): void {
  const { rights, range, item, step, gate } = caveat;
  allowance.expiresAtMs = earlier(allowance.expiresAtMs, Number(caveat.expiresAtMs));
  if (caveat.arguments.length > 0) allowance.bound = bind(allowance.bound, caveat);
  if (step) allowance.step = sameStep(allowance.step, step);
  if (item !== undefined) allowance.items = [...allowance.items, item];
  if (rights !== undefined) allowance.rights &= rights;
  if (range) allowance.range = narrower(allowance.range, range, sizeBytes);
  allowance.timeoutMs = earlier(allowance.timeoutMs, caveat.timeoutMs);
  if (gate) allowance.gate = sameGate(allowance.gate, gate.inputs);
}

/** The smaller of two limits, of which 0 is none. */
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

function sameStep(known: StepScope | undefined, added: StepScope): StepScope {
  if (known && (known.run !== added.run || known.step !== added.step))
    throw denied('the capability is limited to two different steps');
  return added;
}

/** Two gates with different inputs would let in what each of them keeps out. */
function sameGate(
  known: readonly string[] | undefined,
  added: readonly string[],
): readonly string[] {
  if (!known) return added;
  if (known.every((name) => added.includes(name)) && added.every((name) => known.includes(name)))
    return known;
  throw denied('the capability waits for two different sets of inputs');
}

function narrower(
  known: View | undefined,
  { offset, length }: ByteRange,
  sizeBytes: number | undefined,
): View {
  if (sizeBytes === undefined) throw denied('the capability has a range and is not for a memory');
  const view = known ?? { offset: 0, length: sizeBytes };
  if (offset + length > BigInt(view.length))
    throw denied(
      `the capability reaches ${String(view.length)} bytes, a caveat narrows it to ` +
        `${String(length)} from byte ${String(offset)}`,
    );
  return { offset: view.offset + Number(offset), length: Number(length) };
}
