import { timingSafeEqual } from 'node:crypto';

import { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import { Caveat } from '../../../protos/gen/fractory/v1/caveat.js';
import { encode } from '../../../protos/encode.js';
import type { ObjectKind } from '../../../protos/gen/fractory/v1/capability.js';
import { hmacSha256 } from './hmac.js';

/**
 * The tag chain (macaroon construction; Birgisson et al., NDSS 2014):
 * tag 0 = HMAC(secret, the encoded capability without caveats and tag), tag i = HMAC(tag i-1, encoded caveat i). Whoever holds a capability
 * can add a caveat, nobody can take one away, and only the owner, who has the secret, can verify.
 */

/** What a root tag covers. */
export interface CapabilityRoot {
  readonly owner: string;
  readonly epoch: bigint;
  readonly object: bigint;
  readonly node: bigint;
  readonly kind: ObjectKind;
  readonly rights: number;
}

/** Rights, as bits. */
export const RIGHT_INVOKE = 1;
export const RIGHT_READ = 2;
export const RIGHT_WRITE = 4;
export const RIGHT_REVOKE = 8;
export const ALL_RIGHTS = RIGHT_INVOKE | RIGHT_READ | RIGHT_WRITE | RIGHT_REVOKE;
const RIGHT_BITS = 4;
/** Marks are below it. */
export const MARKS = 2 ** (32 - RIGHT_BITS);

/** A mask that leaves just `rights`, and tells a capability by its mark from another that is narrowed alike: bits that are no right restrict nothing. */
export function markedRights(rights: number, mark: number): number {
  return ((mark << RIGHT_BITS) | rights) >>> 0;
}

const NO_BYTES = new Uint8Array(0);

const NO_CAVEAT: Caveat = { expiresAtMs: 0n, arguments: [], step: undefined, timeoutMs: 0 };

/** What the tag of a capability without caveats is made of. */
export const rootBytes = (root: CapabilityRoot): Uint8Array => {
  const { owner, epoch, object, node, kind, rights } = root;
  return encode(Capability, {
    owner,
    epoch,
    object,
    node,
    kind,
    rights,
    caveats: [],
    tag: NO_BYTES,
  });
};

/** A capability without caveats. Only the owner can make one. */
export function mint(secret: Uint8Array, root: CapabilityRoot, hmac = hmacSha256): Capability {
  return { ...root, caveats: [], tag: hmac(secret, rootBytes(root)) };
}

export function encodeCaveat(caveat: Partial<Caveat>): Uint8Array {
  return encode(Caveat, { ...NO_CAVEAT, ...caveat });
}

/** The same capability with one more caveat. Any holder can do this, offline. */
export function narrow(capability: Capability, caveat: Partial<Caveat>): Capability {
  return withCaveat(capability, encodeCaveat(caveat));
}

/** The same capability with one more caveat that is encoded already. */
export function withCaveat(
  capability: Capability,
  caveat: Uint8Array,
  hmac = hmacSha256,
): Capability {
  const caveats = [...capability.caveats, caveat];
  return { ...capability, caveats, tag: hmac(capability.tag, caveat) };
}

/** The tag that a root must have. */
export function rootTag(secret: Uint8Array, root: CapabilityRoot, hmac = hmacSha256): Uint8Array {
  return hmac(secret, rootBytes(root));
}

/** Whether the tag is the end of the chain from the root's tag over all caveats. Constant time in the tag. */
export function endsChain(
  root: Uint8Array,
  { caveats, tag: given }: Capability,
  hmac = hmacSha256,
): boolean {
  let tag = root;
  for (const caveat of caveats) tag = hmac(tag, caveat);
  return given.length === tag.length && timingSafeEqual(given, tag);
}

/** Whether the owner with this secret made the capability and every change to it was a narrowing. */
export function isGenuine(secret: Uint8Array, capability: Capability, hmac = hmacSha256): boolean {
  return endsChain(rootTag(secret, capability, hmac), capability, hmac);
}
