import { limitsSection } from '../../../config/limits.js';
import type { Limits } from '../../../config/limits.js';
import { ObjectKind } from '../../../protos/gen/fractory/v1/capability.js';
import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { Caveat } from '../../../protos/gen/fractory/v1/caveat.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { systemClock } from '../../../runtime/clock.js';
import type { Clock } from '../../../runtime/clock.js';
import { limitExceeded } from '../../../runtime/errors.js';
import type { FractoryError } from '../../../runtime/errors.js';
import type { Operation } from '../../../services/adaptor.js';
import { allowanceOf, denied, expiryOf } from './caveats.js';
import type { Allowance } from './caveats.js';
import { Expirations } from './expirations.js';
import { hmacSha256 } from './hmac.js';
import type { Hmac } from './hmac.js';
import { expired, forged, lacks, revoked, stale } from './refusals.js';
import { Ends } from './replies.js';
import type { Outcome, ReplyGroup, ReplyObject, ReplyPair } from './replies.js';
import { RevocationTree } from './revocation-tree.js';
import type { TreeNode } from './revocation-tree.js';
import { Seal } from './seal.js';
import type { KnownRoot } from './seal.js';
import { encodeCaveat, RIGHT_INVOKE, RIGHT_REVOKE } from './token.js';
import { Watches } from './watches.js';
import type { WatchListener } from './watches.js';

export type { Outcome, ReplyObject, ReplyPair } from './replies.js';

/** What the table knows of a memory. */
export interface OwnedMemory {
  readonly sizeBytes: number;
  /** Called when the object is dead, synchronously, once; must not throw. */
  readonly onDead: () => void;
}

/** An operation of the device. */
export interface OperationObject {
  readonly kind: 'operation';
  readonly operation: Operation;
}

export interface MemoryObject {
  readonly kind: 'memory';
  readonly memory: OwnedMemory;
}

export type OwnedObject = OperationObject | ReplyObject | MemoryObject;

/** One use of a capability that has passed all checks. It may become invalid at any moment: `checkLive`. */
export interface Use<O extends OwnedObject = OwnedObject> {
  readonly object: O;
  readonly capability: Capability;
  readonly allowance: Allowance;
}

/** A new capability and what revokes it, however it was narrowed and handed on. */
export interface Revocable {
  readonly capability: Capability;
  /** Can do nothing else. */
  readonly revoker: Capability;
}

export interface ObjectTableOptions {
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: those of an empty ini file. */
  readonly limits?: Pick<Limits, 'max_caveats' | 'max_tree_nodes' | 'max_watches'>;
  /** Default: HMAC-SHA256 of Node.js. */
  readonly hmac?: Hmac;
}

/** A node of the revocation tree, as the table keeps it: what a capability for it without caveats is, and what is behind it. */
interface Owned extends KnownRoot {
  readonly owned: OwnedObject;
  /** Of the derived capability: the node is of no use after it. */
  readonly expiresAtMs: number | undefined;
}

/** What an object is at its beginning, or a derived capability before its caveats. */
type Making = Pick<Owned, 'owned' | 'kind' | 'rights' | 'expiresAtMs'>;

/**
 * The objects that one controller owns, in one life, and its revocation tree. A new life (epoch) starts with a fresh secret and an empty
 * table: every earlier capability is stale. The number of an object is the id of its root node. Invariants: numbers are never used twice; an
 * object is there exactly as long as its root node lives; everything here is synchronous, so that what has answered is done.
 */
export class ObjectTable {
  readonly #operations: () => readonly Operation[];
  readonly #clock: Clock;
  readonly #limits: Pick<Limits, 'max_caveats' | 'max_tree_nodes' | 'max_watches'>;
  readonly #hmac: Hmac;
  readonly #tree = new RevocationTree<Owned>();
  readonly #expirations: Expirations;
  readonly #watches: Watches;
  readonly #roots = new Map<string, Capability>();
  #seal: Seal;

  /** `operations` is asked at the beginning of each life. */
  constructor(
    member: string,
    operations: () => readonly Operation[],
    options: ObjectTableOptions = {},
  ) {
    this.#operations = operations;
    this.#clock = options.clock ?? systemClock;
    this.#limits = options.limits ?? limitsSection.parse({});
    this.#hmac = options.hmac ?? hmacSha256;
    this.#seal = new Seal(member, 0n, this.#hmac);
    this.#expirations = new Expirations(this.#clock, (ids) => {
      for (const id of ids) this.#kill(id, 'expired');
    });
    this.#watches = new Watches(this.#clock, this.#limits.max_watches);
  }

  /** 0 while the member is not registered: then nothing is genuine. */
  get epoch(): bigint {
    return this.#seal.epoch;
  }

  /** How many objects there are, those of the operations included. */
  get size(): number {
    return this.#tree.roots;
  }

  /** How many derived capabilities can still be revoked. */
  get derived(): number {
    return this.#tree.size - this.#tree.roots;
  }

  /** How many watches wait. */
  get watches(): number {
    return this.#watches.size;
  }

  /** Root capabilities by operation. */
  get roots(): ReadonlyMap<string, Capability> {
    return this.#roots;
  }

  /** Begins a new life, or (epoch 0) none: all objects of the life before are gone. */
  begin(epoch: bigint): void {
    this.#seal = new Seal(this.#seal.owner, epoch, this.#hmac);
    this.#expirations.clear();
    this.#roots.clear();
    const died = this.#tree.clear();
    if (epoch !== 0n)
      for (const operation of this.#operations())
        this.#roots.set(operation.spec.name, this.#addRequest({ kind: 'operation', operation }));
    endMemories(died);
    this.#watches.wake(died, 'owner lost');
  }

  /**
   * What is behind a capability, if it may be used for `right`. Checks in this order: epoch (STALE_OWNER), tag (CAPABILITY_FORGED), liveness
   * (CAPABILITY_REVOKED), caveats and rights (CAPABILITY_EXPIRED, CAPABILITY_DENIED). Before all but the first: LIMIT_EXCEEDED past `max_caveats`.
   */
  use(capability: Capability, right: number): Use {
    const use = this.#open(capability);
    if ((use.allowance.rights & right) === 0) throw lacks(right);
    return use;
  }

  /** Throws if the capability has become useless since; cheap enough for every chunk of a transfer. */
  checkLive({ capability, allowance: { expiresAtMs } }: Use): void {
    if (capability.epoch !== this.#seal.epoch) throw stale(capability, this.#seal);
    if (!this.#tree.has(capability.node)) throw this.#gone(capability);
    this.#checkExpiry(expiresAtMs);
  }

  /** Makes a memory an object. Whoever has the revoker ends it, or `remove`. */
  addMemory(memory: OwnedMemory, rights: number): Revocable {
    const owned: MemoryObject = { kind: 'memory', memory };
    const kind = ObjectKind.MEMORY;
    const { value } = this.#add({ owned, kind, rights, expiresAtMs: undefined });
    return { capability: this.#rootOf(value), revoker: this.#revokerOf(value) };
  }

  /** Ends an object as its owner; idempotent. */
  remove(object: bigint): void {
    this.#kill(object, 'revoked');
  }

  /**
   * A child node: the same object and caveats, of the rights all but revoking, and the additional caveat. Refused where that would leave nothing,
   * and past `max_tree_nodes`.
   */
  derive(capability: Capability, caveat?: Partial<Caveat>): Revocable {
    const { object, allowance } = this.#open(capability);
    const rights = allowance.rights & ~RIGHT_REVOKE;
    if (rights === 0) throw denied('the capability has no right that could be handed on');
    const caveats = caveat ? [...capability.caveats, encodeCaveat(caveat)] : capability.caveats;
    this.#checkCaveats(caveats);
    const { expiresAtMs } = allowanceOf(caveats, { rights, sizeBytes: sizeOf(object) });
    this.#checkExpiry(expiresAtMs);
    const { max_tree_nodes } = this.#limits;
    if (this.derived >= max_tree_nodes)
      throw limitExceeded('max_tree_nodes', this.derived + 1, max_tree_nodes, {
        retryAfterMs: 1000,
      });
    const parent = this.#tree.get(capability.node);
    const making = { owned: object, kind: capability.kind, rights, expiresAtMs };
    const { value } = this.#add(making, parent);
    if (expiresAtMs !== undefined) this.#expirations.add(value.node, expiresAtMs);
    return { capability: this.#seal.mint(value, caveats), revoker: this.#revokerOf(value) };
  }

  /** Kills the capability's node and all below it; returns how many nodes died. 0 = it was dead already. */
  revoke(capability: Capability): number {
    if (!this.#genuine(capability)) return 0;
    this.use(capability, RIGHT_REVOKE);
    return this.#kill(capability.node, 'revoked');
  }

  /** `listener` hears once when the capability becomes useless; returns what cancels that. Throws if it is useless now. */
  watch(capability: Capability, listener: WatchListener): () => void {
    const { allowance } = this.#open(capability);
    return this.#watches.add(capability.node, allowance.expiresAtMs, listener);
  }

  /**
   * A fresh reply pair; `settle` is called at most once. With `ends`, the success half is used once for each of them, as the argument of that name,
   * and the result is the list of what came, in their order.
   */
  addReply(settle: (outcome: Outcome) => void, ends?: readonly string[]): ReplyPair {
    const collected = ends && new Ends(ends);
    const group: ReplyGroup = { objects: [], settle, ends: collected };
    const success = this.#addRequest({ kind: 'reply', outcome: 'succeeded', group });
    const failure = this.#addRequest({ kind: 'reply', outcome: 'failed', group });
    group.objects.push(success.object, failure.object);
    return {
      success,
      failure,
      revoke: () => {
        this.#drop(group);
      },
    };
  }

  /** A result has come to the success half of a reply, as the argument `end`. Consumes the pair when nothing is missing. */
  settleReply(
    { group }: ReplyObject,
    end: string,
    result: Value,
    receipts: readonly Uint8Array[],
  ): void {
    const outcome: Outcome | undefined = group.ends
      ? group.ends.take(end, result, receipts)
      : { kind: 'succeeded', result, receipts };
    if (outcome) this.#settle(group, outcome);
  }

  /** Uses up a reply pair. */
  consume({ group }: ReplyObject, outcome: Outcome): void {
    this.#settle(group, outcome);
  }

  #settle(group: ReplyGroup, outcome: Outcome): void {
    this.#drop(group);
    group.settle(outcome);
  }

  #drop(group: ReplyGroup): void {
    for (const number of group.objects) this.#kill(number, 'revoked');
  }

  /** All checks but that of a right. */
  #open(capability: Capability): Use {
    const node = this.#genuine(capability);
    if (!node) throw this.#gone(capability);
    const object = node.value.owned;
    const { rights, caveats } = capability;
    const allowance = allowanceOf(caveats, { rights, sizeBytes: sizeOf(object) });
    this.#checkExpiry(allowance.expiresAtMs);
    return { object, capability, allowance };
  }

  /** The node of a genuine capability; undefined if it is dead. */
  #genuine(capability: Capability): TreeNode<Owned> | undefined {
    const { owner, epoch } = this.#seal;
    if (capability.owner !== owner || capability.epoch !== epoch || epoch === 0n)
      throw stale(capability, this.#seal);
    this.#checkCaveats(capability.caveats);
    const node = this.#tree.get(capability.node);
    if (!this.#seal.isGenuine(capability, node?.value)) throw forged(owner);
    return node;
  }

  #checkCaveats({ length }: readonly Uint8Array[]): void {
    const { max_caveats } = this.#limits;
    if (length > max_caveats) throw limitExceeded('max_caveats', length, max_caveats);
  }

  #checkExpiry(expiresAtMs: number | undefined): void {
    if (expiresAtMs === undefined) return;
    const now = this.#clock.now();
    if (now >= expiresAtMs) throw expired(now - expiresAtMs);
  }

  /** Why a genuine capability has no node. Derived nodes are swept when they have expired, roots are not. */
  #gone({ object, node, caveats }: Capability): FractoryError {
    const expiresAtMs = node === object ? undefined : expiryOf(caveats);
    const now = this.#clock.now();
    return expiresAtMs !== undefined && now >= expiresAtMs ? expired(now - expiresAtMs) : revoked();
  }

  #addRequest(owned: OperationObject | ReplyObject): Capability {
    const kind = ObjectKind.REQUEST;
    const rights = RIGHT_INVOKE;
    return this.#rootOf(this.#add({ owned, kind, rights, expiresAtMs: undefined }).value);
  }

  #add(making: Making, parent?: TreeNode<Owned>): TreeNode<Owned> {
    return this.#tree.add((node) => {
      const { owned, kind, rights, expiresAtMs } = making;
      const object = parent ? parent.value.object : node;
      const { tag } = this.#seal.mint({ object, node, kind, rights });
      return { owned, kind, rights, expiresAtMs, object, node, tag };
    }, parent);
  }

  #rootOf({ object, node, kind, rights, tag }: Owned): Capability {
    const { owner, epoch } = this.#seal;
    return { owner, epoch, object, node, kind, rights, caveats: [], tag };
  }

  #revokerOf({ object, node, kind }: Owned): Capability {
    return this.#seal.mint({ object, node, kind, rights: RIGHT_REVOKE });
  }

  /** One synchronous pass: all are dead before anybody hears of it. */
  #kill(id: bigint, end: 'revoked' | 'expired'): number {
    const died = this.#tree.revoke(id);
    for (const { id: node, value } of died)
      if (value.expiresAtMs !== undefined) this.#expirations.remove(node, value.expiresAtMs);
    endMemories(died);
    this.#watches.wake(died, end);
    return died.length;
  }
}

/** Memories whose root died are dead. */
function endMemories(died: readonly TreeNode<Owned>[]): void {
  for (const { parent, value } of died)
    if (!parent && value.owned.kind === 'memory') value.owned.memory.onDead();
}

function sizeOf(object: OwnedObject): number | undefined {
  return object.kind === 'memory' ? object.memory.sizeBytes : undefined;
}
