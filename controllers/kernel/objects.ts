import { randomBytes } from 'node:crypto';

import { status } from '@grpc/grpc-js';

import { ObjectKind } from '../../protos/gen/fractory/v1/capability.js';
import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Failure, Value } from '../../protos/gen/fractory/v1/value.js';
import { FractoryError } from '../../runtime/errors.js';
import type { Operation } from '../../services/adaptor.js';
import { endsChain, isGenuine, mint, RIGHT_INVOKE, rootTag } from './token.js';

/** How a one-shot reply ended. Receipts are encoded. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly result: Value; readonly receipts: readonly Uint8Array[] }
  | {
      readonly kind: 'failed';
      readonly failure: Failure;
      readonly receipts: readonly Uint8Array[];
    };

/** A request that may be invoked: an operation of the device, or one half of a reply pair. */
export type RequestObject =
  | { readonly kind: 'operation'; readonly operation: Operation }
  | { readonly kind: 'reply'; readonly outcome: Outcome['kind']; readonly group: ReplyGroup };

interface ReplyGroup {
  readonly objects: bigint[];
  readonly settle: (outcome: Outcome) => void;
}

/** Two capabilities; the first to be invoked consumes both. */
export interface ReplyPair {
  readonly success: Capability;
  readonly failure: Capability;
  /** Makes both useless; idempotent. */
  readonly revoke: () => void;
}

/** The only node of a revocation tree so far. */
const ROOT_NODE = 1n;

/**
 * The objects that one controller owns, in one life. A new life (epoch) starts with a fresh secret and an empty table: every earlier
 * capability is stale. Invariant: numbers of objects are never used twice in an epoch.
 */
export class ObjectTable {
  readonly #member: string;
  readonly #operations: () => readonly Operation[];
  #secret: Uint8Array = randomBytes(32);
  #epoch = 0n;
  #nextObject = 1n;
  readonly #objects = new Map<bigint, RequestObject>();
  readonly #rootTags = new WeakMap<RequestObject, Uint8Array>();
  readonly #roots = new Map<string, Capability>();

  /** `operations` is asked at the beginning of each life. */
  constructor(member: string, operations: () => readonly Operation[]) {
    this.#member = member;
    this.#operations = operations;
  }

  /** 0 while the member is not registered: then nothing is genuine. */
  get epoch(): bigint {
    return this.#epoch;
  }

  /** How many objects there are, those of the operations included. */
  get size(): number {
    return this.#objects.size;
  }

  /** Begins a new life, or (epoch 0) none: all objects of the life before are gone. */
  begin(epoch: bigint): void {
    this.#epoch = epoch;
    this.#secret = randomBytes(32);
    this.#objects.clear();
    this.#roots.clear();
    if (epoch === 0n) return;
    for (const operation of this.#operations())
      this.#roots.set(operation.spec.name, this.#add({ kind: 'operation', operation }));
  }

  /** Root capabilities by operation. */
  get roots(): ReadonlyMap<string, Capability> {
    return this.#roots;
  }

  /** A fresh reply pair; `settle` is called at most once. */
  addReply(settle: (outcome: Outcome) => void): ReplyPair {
    const group: ReplyGroup = { objects: [], settle };
    const success = this.#add({ kind: 'reply', outcome: 'succeeded', group });
    const failure = this.#add({ kind: 'reply', outcome: 'failed', group });
    group.objects.push(success.object, failure.object);
    return {
      success,
      failure,
      revoke: () => {
        this.#drop(group);
      },
    };
  }

  /** Uses up a reply pair. */
  consume(reply: Extract<RequestObject, { kind: 'reply' }>, outcome: Outcome): void {
    this.#drop(reply.group);
    reply.group.settle(outcome);
  }

  /** The object behind a capability, after the checks of epoch, tag and liveness, in this order. */
  open(capability: Capability): RequestObject {
    if (capability.owner !== this.#member || capability.epoch !== this.#epoch || this.#epoch === 0n)
      throw this.#stale(capability);
    const object = this.#objects.get(capability.object);
    if (!this.#isGenuine(capability, object) || (capability.rights & RIGHT_INVOKE) === 0)
      throw new FractoryError(
        status.PERMISSION_DENIED,
        'CAPABILITY_FORGED',
        `the capability was not made by ${this.#member} or was altered`,
      );
    if (!object)
      throw new FractoryError(
        status.PERMISSION_DENIED,
        'CAPABILITY_REVOKED',
        'the capability was revoked or, if it could be used once, has been used',
      );
    return object;
  }

  /** As `isGenuine`, with the root's tag from memory where the object exists. A forged token costs the same time either way. */
  #isGenuine(capability: Capability, object: RequestObject | undefined): boolean {
    const root = object && this.#rootTags.get(object);
    const isRoot =
      capability.node === ROOT_NODE &&
      capability.kind === ObjectKind.REQUEST &&
      capability.rights === RIGHT_INVOKE;
    if (!root || !isRoot) return isGenuine(this.#secret, capability);
    if (endsChain(root, capability)) return true;
    // What the check of an object that doesn't exist costs more.
    rootTag(this.#secret, capability);
    return false;
  }

  #stale(capability: Capability): FractoryError {
    return new FractoryError(
      status.FAILED_PRECONDITION,
      'STALE_OWNER',
      `the capability is for ${capability.owner} in epoch ${String(capability.epoch)}, ` +
        `this is ${this.#member} in epoch ${String(this.#epoch)}`,
    );
  }

  #add(object: RequestObject): Capability {
    const number = this.#nextObject++;
    this.#objects.set(number, object);
    const capability = mint(this.#secret, {
      owner: this.#member,
      epoch: this.#epoch,
      object: number,
      node: ROOT_NODE,
      kind: ObjectKind.REQUEST,
      rights: RIGHT_INVOKE,
    });
    this.#rootTags.set(object, capability.tag);
    return capability;
  }

  #drop(group: ReplyGroup): void {
    for (const number of group.objects) this.#objects.delete(number);
  }
}
