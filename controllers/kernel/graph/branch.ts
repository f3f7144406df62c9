import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { MapBranch, MapContinuation } from '../../../protos/gen/fractory/v1/controller.js';
import type { Continuation } from '../../../protos/gen/fractory/v1/controller.js';
import { encode } from '../../../protos/encode.js';
import { Continuation as ContinuationMessage } from '../../../protos/gen/fractory/v1/controller.js';
import { narrow } from '../capabilities/token.js';

/** A branch of a map made ready for one item. All are encoded. */
export interface ItemBranch {
  readonly heads: readonly Uint8Array[];
  readonly shared: readonly Uint8Array[];
}

/** Where an item ends: its results go to one, a failure to the other. */
export interface ItemReply {
  readonly success: Capability;
  readonly failure: Capability;
}

/**
 * What is done with item number `item`: every capability of the branch narrowed to that item, and the branch's ends replaced by `reply`: by its failure
 * half where they stand among failure continuations. Maps inside are narrowed too; their ends stay their own.
 */
export function branchFor(branch: MapBranch, item: number, reply: ItemReply): ItemBranch {
  const ready = (continuation: Continuation): Uint8Array =>
    encode(ContinuationMessage, readyFor(continuation, item, reply));
  return { heads: branch.heads.map(ready), shared: branch.shared.map(ready) };
}

function readyFor(
  continuation: Continuation,
  item: number,
  reply: ItemReply | undefined,
): Continuation {
  const { capability, argument, itemResult, map } = continuation;
  if (itemResult && reply) return { ...END, capability: reply.success, argument };
  return {
    ...continuation,
    capability: capability && narrow(capability, { item }),
    onSuccess: continuation.onSuccess.map((next) => readyFor(next, item, reply)),
    onFailure: continuation.onFailure.map((next) =>
      next.itemResult && reply
        ? { ...END, capability: reply.failure, argument: next.argument }
        : readyFor(next, item, reply),
    ),
    map: map && mapFor(map, item),
  };
}

function mapFor(map: MapContinuation, item: number): MapContinuation {
  const inner = (continuation: Continuation): Continuation =>
    readyFor(continuation, item, undefined);
  return {
    ...map,
    branches: map.branches.map((branch) => ({
      ...branch,
      heads: branch.heads.map(inner),
      shared: branch.shared.map(inner),
    })),
  };
}

const END: Continuation = {
  capability: undefined,
  argument: '',
  onSuccess: [],
  onFailure: [],
  shared: 0,
  map: undefined,
  retries: 0,
  itemResult: false,
};
