import { createHmac, timingSafeEqual } from 'node:crypto';

import { Capability, Caveat } from '../../protos/gen/fractory/v1/capability.js';
import { encode } from '../../protos/encode.js';
import type { ObjectKind } from '../../protos/gen/fractory/v1/capability.js';

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

/** The right to invoke. */
export const RIGHT_INVOKE = 1;

const hmac = (key: Uint8Array, message: Uint8Array): Buffer =>
  createHmac('sha256', key).update(message).digest();

const rootBytes = ({ owner, epoch, object, node, kind, rights }: CapabilityRoot): Uint8Array =>
  encode(Capability, { owner, epoch, object, node, kind, rights, caveats: [], tag: NO_BYTES });

const NO_BYTES = new Uint8Array(0);

/** A capability without caveats. Only the owner can make one. */
export function mint(secret: Uint8Array, root: CapabilityRoot): Capability {
  return { ...root, caveats: [], tag: hmac(secret, rootBytes(root)) };
}

/** The same capability with one more caveat. Any holder can do this, offline. */
export function narrow(capability: Capability, caveat: Caveat): Capability {
  const encoded = encode(Caveat, caveat);
  return {
    ...capability,
    caveats: [...capability.caveats, encoded],
    tag: hmac(capability.tag, encoded),
  };
}

/** The tag that a root must have. */
export function rootTag(secret: Uint8Array, root: CapabilityRoot): Uint8Array {
  return hmac(secret, rootBytes(root));
}

/** Whether the tag is the end of the chain from the root's tag over all caveats. Constant time in the tag. */
export function endsChain(root: Uint8Array, { caveats, tag: given }: Capability): boolean {
  let tag = root;
  for (const caveat of caveats) tag = hmac(tag, caveat);
  return given.length === tag.length && timingSafeEqual(given, tag);
}

/** Whether the owner with this secret made the capability and every change to it was a narrowing. */
export function isGenuine(secret: Uint8Array, capability: Capability): boolean {
  return endsChain(rootTag(secret, capability), capability);
}
