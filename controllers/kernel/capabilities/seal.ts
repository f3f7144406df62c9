import { randomBytes } from 'node:crypto';

import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import { endsChain, isGenuine, mint, rootTag, withCaveat } from './token.js';
import type { Hmac } from './hmac.js';
import type { CapabilityRoot } from './token.js';

/** What a root is besides its owner's name and epoch. */
export type SealedRoot = Pick<CapabilityRoot, 'object' | 'node' | 'kind' | 'rights'>;

/** With the tag of the capability without caveats. */
export interface KnownRoot extends SealedRoot {
  readonly tag: Uint8Array;
}

/** What one owner makes and recognizes capabilities with, in one life. The secret never leaves it. */
export class Seal {
  readonly owner: string;
  readonly epoch: bigint;
  readonly #secret: Uint8Array = randomBytes(32);
  readonly #hmac: Hmac;

  constructor(owner: string, epoch: bigint, hmac: Hmac) {
    this.owner = owner;
    this.epoch = epoch;
    this.#hmac = hmac;
  }

  mint(root: SealedRoot, caveats: readonly Uint8Array[] = []): Capability {
    const { owner, epoch } = this;
    const { object, node, kind, rights } = root;
    const bare = mint(this.#secret, { owner, epoch, object, node, kind, rights }, this.#hmac);
    return caveats.reduce((made, caveat) => withCaveat(made, caveat, this.#hmac), bare);
  }

  /**
   * Whether this seal made the capability, and every change to it was a narrowing. `known` is what is remembered of its node, if that lives: it saves
   * one HMAC where the capability is genuine. A forged one always costs the same: one HMAC for its root and one for each caveat.
   */
  isGenuine(capability: Capability, known: KnownRoot | undefined): boolean {
    const isKnown =
      known !== undefined &&
      capability.object === known.object &&
      capability.node === known.node &&
      capability.kind === known.kind &&
      capability.rights === known.rights;
    if (!isKnown) return isGenuine(this.#secret, capability, this.#hmac);
    if (endsChain(known.tag, capability, this.#hmac)) return true;
    rootTag(this.#secret, capability, this.#hmac);
    return false;
  }
}
