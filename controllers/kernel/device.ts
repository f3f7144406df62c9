import type { ChannelCredentials, ClientOptions } from '@grpc/grpc-js';

import type { Logger } from '../../runtime/logger.js';
import type { Tracer } from '../../runtime/tracing/tracer.js';
import type { Limits } from '../../config/limits.js';
import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { Invocation } from '../../protos/gen/fractory/v1/controller.js';
import type { OperationDescription } from '../../protos/gen/fractory/v1/operation.js';
import type { Adaptor } from '../../services/adaptor.js';
import type { Member } from '../../zookeeper/coordinator.js';
import type { TypedService } from './calls.js';
import type { MemberKey } from './directory.js';
import type { Settle } from './link.js';
import type { Outcome, ReplyPair } from './objects.js';

/** A generated gRPC client class. */
export type ClientClass<C> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

/** Calls other nodes' typed services. */
export interface Peers {
  /**
   * Runs `call` with a client of a member of `type`, chosen by that type's routing. Moves on to another member on UNAVAILABLE and follows
   * NOT_LEADER, with backoff, until it succeeds, fails otherwise or `signal` aborts.
   */
  call<C extends { close(): void }, T>(
    type: string,
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
}

/** A root capability of another member and what it is for. */
export interface RootGrant {
  readonly operation: OperationDescription;
  readonly capability: Capability;
}

/** What a device that composes graphs does through its kernel. */
export interface KernelAccess {
  readonly limits: Limits;
  /** This member's epoch; 0 while it is not registered. */
  epoch(): bigint;
  /** Hears when this member's epoch changed: all capabilities that it made before are useless. */
  onEpoch(listener: () => void): () => void;
  members(): readonly Member[];
  /** The member of a type to use next; UNAVAILABLE if there is none. */
  pick(type: string): Member;
  /** Prefers others to this member for a while. */
  suspect(member: MemberKey): void;
  /** Root capabilities of a member by operation: one call per life of the member, then from memory. */
  connect(member: Member, signal: AbortSignal): Promise<ReadonlyMap<string, RootGrant>>;
  addReply(settle: (outcome: Outcome) => void): ReplyPair;
  /** Sends an invocation; `settle` hears whether it was admitted. */
  dispatch(invocation: Invocation, settle: Settle): void;
  /** Calls `listener` once when the member's life ends or the link to it breaks; returns what cancels it. */
  watch(member: MemberKey, listener: () => void): () => void;
}

/** A device: its operations for graphs and its typed services for people. Disposing it ends its workers and files. */
export interface Device extends AsyncDisposable {
  readonly adaptor: Adaptor;
  readonly services: readonly TypedService[];
}

/** Makes the device; called once, before the node registers. What it throws stops the node with that message. */
export type MakeDevice<S> = (context: DeviceContext<S>) => Promise<Device>;
