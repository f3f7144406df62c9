import type { ChannelCredentials, ClientOptions } from '@grpc/grpc-js';
import type { Registry } from 'prom-client';

import type { Logger } from '../../runtime/logger.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import type { Limits } from '../../config/limits.js';
import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Invocation, Release } from '../../protos/gen/fractory/v1/controller.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import type { OperationDescription } from '../../protos/gen/fractory/v1/operation.js';
import type { Adaptor } from '../../services/adaptor.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { TypedService } from './calls.js';
import type { MemberKey, PeerStanding } from './directory.js';
import type { Settle } from './link.js';
import type { MemoryAccess } from './memory/access.js';
import type { Observation } from './outliers.js';
import type { Outcome, ReplyPair } from './capabilities/objects.js';

/** A generated gRPC client class. */
export type ClientClass<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

/** One member and no other: it has what is wanted. */
export interface ThisMember {
  readonly member: string;
}

/** Calls other nodes' typed services. */
export interface Peers {
  /**
   * Runs `call` with a client of a member of a type, chosen by that type's routing. Moves on to another member on UNAVAILABLE and follows
   * NOT_LEADER, with backoff, until it succeeds, fails otherwise or `signal` aborts. Of one member it asks once: UNAVAILABLE (OWNER_LOST) where that
   * one is not there.
   */
  call<C extends { close(): void }, T>(
    target: string | ThisMember,
    client: ClientClass<C>,
    call: (client: C, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
}

/** What a device gets from the kernel when it is made. */
export interface DeviceContext<S> {
  /** Keys of the device's section in the ini file, as its `settings.ts` reads them. */
  readonly settings: S;
  /** Folder of the files of clients: absolute, shared by all storage members. */
  readonly storagePath: string;
  /** Folder of the installed product: where `services/` with its models is. Absolute. */
  readonly root: string;
  /** Folder for what this data center keeps, `.fractory`: absolute, exists. */
  readonly statePath: string;
  readonly member: string;
  readonly log: Logger;
  readonly tracer: Tracer;
  readonly peers: Peers;
  readonly kernel: KernelAccess;
  /** What the device measures goes here: the node's `/metrics` shows it. Absent where nothing is measured. */
  readonly registry?: Registry;
}

/** A root capability of another member and what it is for. */
export interface RootGrant {
  readonly operation: OperationDescription;
  readonly capability: Capability;
}

/** What all that follows from a beginning has in common. */
export interface Beginning {
  /** Encoded continuations that heads refer to by number, from 1. */
  readonly shared: readonly Uint8Array[];
  readonly onFailure: readonly Uint8Array[];
  /** When the budget ends; ms since 1970. */
  readonly deadlineMs: number;
  readonly traceparent: string;
  /** Which attempt at the run, from 1. */
  readonly attempt: number;
}

/** What a device that composes graphs does through its kernel. */
export interface KernelAccess {
  readonly limits: Limits;
  /** This member's epoch; 0 while it is not registered. */
  epoch(): bigint;
  /** Hears when this member's epoch changed: all capabilities that it made before are useless. */
  onEpoch(listener: () => void): () => void;
  /** Whether this member leads its type now. */
  leads(): boolean;
  /** Hears each time that this member begins to lead: in a new epoch, or after a time in which it did not. */
  onLeads(listener: () => void): () => void;
  /**
   * Gives up leadership and registers again at the end of the queue, with an epoch greater than `above`: for a leader that learns that a
   * later one has been. Never rejects; at most once a second.
   */
  stepBack(above: bigint): Promise<void>;
  members(): readonly Member[];
  /** Hears every change of the members; returns what ends that. */
  onMembers(listener: () => void): () => void;
  /** Tells what was seen of a member in the course of a run: those that do worse than others of their type are passed over. */
  observe(member: MemberKey, observation: Observation): void;
  /** Where a member stands with this node. */
  standingOf(member: MemberKey): PeerStanding;
  /** The member of a type to use next; UNAVAILABLE if there is none. */
  pick(type: string): Member;
  /** Prefers others to this member for a while. */
  suspect(member: MemberKey): void;
  /** Root capabilities of a member by operation: one call per life of the member, then from memory. */
  connect(member: Member, signal: AbortSignal): Promise<ReadonlyMap<string, RootGrant>>;
  /**
   * A fresh one-shot reply pair. With `ends` the success half is used once for each, as the argument of that name; the result is then the list of
   * what came, in the order of `ends`.
   */
  addReply(settle: (outcome: Outcome) => void, ends?: readonly string[]): ReplyPair;
  /**
   * Invokes all of `heads` (encoded ContinuationHeads; references and maps too) with `value`, as a step does that has succeeded with it; without a value
   * their arguments are all fixed. Whatever fails on the way goes to `rest.onFailure`. Returns what stops the maps among them: call it when nobody waits
   * for an outcome any more.
   */
  continueWith(heads: readonly Uint8Array[], value: Value | undefined, rest: Beginning): () => void;
  /** Tells a member that a run needs steps no more; nobody answers. */
  release(member: MemberKey, release: Release): void;
  /** This node's memories, and those of others. */
  readonly memory: MemoryAccess;
  /** Sends an invocation; `settle` hears whether it was admitted. */
  dispatch(invocation: Invocation, settle: Settle): void;
  /** Calls `listener` once when the member's life ends or the link to it breaks; returns what cancels it. */
  watch(member: MemberKey, listener: () => void): () => void;
}

/** A device: its operations for graphs and its typed services for people. Disposing it ends its workers and files. */
export interface Device extends AsyncDisposable {
  readonly adaptor: Adaptor;
  readonly services: readonly TypedService[];
  /**
   * The node is about to leave the registry, and has `graceMs` to finish what it has begun while another leads: to be told to whom else would stop it. Never
   * rejects.
   */
  leave?(graceMs: number): Promise<void>;
  /**
   * The node stops politely: it has left the registry, so nothing new begins here. Finishes what is under way, or hands it over, and resolves when the
   * device needs its links and replies no more; from the abort of `signal` on it ends what is left. Never rejects. Absent = there is nothing to do.
   */
  drain?(signal: AbortSignal): Promise<void>;
}

/** Makes the device; called once, before the node registers. What it throws stops the node with that message. */
export type MakeDevice<S> = (context: DeviceContext<S>) => Promise<Device>;
