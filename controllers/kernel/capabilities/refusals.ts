import { status } from '@grpc/grpc-js';

import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import { FractoryError } from '../../../runtime/errors.js';
import { denied } from './caveats.js';
import { RIGHT_INVOKE, RIGHT_READ, RIGHT_REVOKE, RIGHT_WRITE } from './token.js';

/** Why capabilities are refused; each way has its reason. */

/** It belongs to another member, or another life of this one. */
export function stale(
  { owner, epoch }: Capability,
  here: { readonly owner: string; readonly epoch: bigint },
): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'STALE_OWNER',
    `the capability is for ${owner} in epoch ${String(epoch)}, ` +
      `this is ${here.owner} in epoch ${String(here.epoch)}`,
  );
}

export function forged(owner: string): FractoryError {
  return new FractoryError(
    status.PERMISSION_DENIED,
    'CAPABILITY_FORGED',
    `the capability was not made by ${owner} or was altered`,
  );
}

export function revoked(): FractoryError {
  return new FractoryError(
    status.PERMISSION_DENIED,
    'CAPABILITY_REVOKED',
    'the capability was revoked or, if it could be used once, has been used',
  );
}

export function expired(agoMs: number): FractoryError {
  return new FractoryError(
    status.PERMISSION_DENIED,
    'CAPABILITY_EXPIRED',
    `the capability expired ${String(agoMs)} ms ago`,
  );
}

const RIGHT_NAMES: Readonly<Record<number, string>> = {
  [RIGHT_INVOKE]: 'invoke',
  [RIGHT_READ]: 'read',
  [RIGHT_WRITE]: 'write',
  [RIGHT_REVOKE]: 'revoke',
};

export function lacks(right: number): FractoryError {
  return denied(`the capability does not have the right to ${RIGHT_NAMES[right] ?? String(right)}`);
}
