/** What a member says of itself when it registers. */
export interface MemberRecord {
  /** Member id, such as `storage-1`: unique in its data center, the same after a restart. */
  readonly id: string;
  /** Device type, such as `storage`. */
  readonly type: string;
  /** host:port of its gRPC server. */
  readonly address: string;
  /** host:port where it serves `GET /metrics`. */
  readonly metricsAddress: string;
  /** host:port where it serves its memories to other controllers. */
  readonly dataAddress: string;
  /** ADDRESS:PORT where it gossips; absent = it doesn't. */
  readonly gossipAddress?: string | undefined;
  readonly pid: number;
  /** Random id of this process: tells an earlier life of the same member from this one. */
  readonly instance: string;
  readonly version: string;
  /** ISO 8601. */
  readonly startedAt: string;
  /** How callers pick a member of its type. */
  readonly routing: Routing;
}

/** `leader`: only the leader serves. `any`: every member does. */
export type Routing = 'leader' | 'any';

/** A registered member. */
export interface Member extends MemberRecord {
  /** Only grows, for every registration in the data center, also where ZooKeeper begins anew without its data (`epoch-base.ts`). */
  readonly epoch: bigint;
  /** Place in the queue for leadership of its type: the lowest leads. */
  readonly sequence: number;
}

/**
 * How the connection to the coordinator is. `suspended`: nothing heard for too long, the session may still live, for as long as nobody can be
 * reached who would know.
 * `lost`: the session is over, and all registrations with it; the coordinator makes a new session and registers again by itself.
 */
export type ConnectionState = 'connecting' | 'connected' | 'suspended' | 'lost' | 'closed';

/** One standing registration: survives reconnects, and is made again (with a new epoch) after a lost session. */
export interface Registration extends AsyncDisposable {
  /**
   * As registered now; undefined between a lost session and the next registration, and for as long as a later life of the same
   * member (another process under the same id that registered after this one) is registered: this one then stands by.
   */
  readonly member: Member | undefined;
  /**
   * True only while this member is known to lead and the session can't have expired at the server:
   * false as soon as the connection is suspended.
   */
  readonly leads: boolean;
  /**
   * If this member leads, nobody can lead after it before this moment (monotonic ms), whatever becomes of the connection: its session lives until
   * then.
   */
  readonly leadsUntilMs: number;
  /** Hears every change of `member` and `leads`; returns what ends the subscription. */
  subscribe(listener: (registration: Registration) => void): () => void;
  /**
   * Leaves and registers again at once: at the end of the queue, with an epoch greater than `above`. Resolves when that is so; fails with
   * UNAVAILABLE where there is no session with the coordinator.
   */
  renew(above?: bigint): Promise<void>;
  /** Leaves: when this resolves the member is gone from the coordinator and this process's list; others hear a moment later. Idempotent. */
  withdraw(): Promise<void>;
}

/** Who is there and who leads. One per process; every method may be used as soon as `start` has resolved. */
export interface Coordinator extends AsyncDisposable {
  /** `zookeeper` or `embedded`. */
  readonly kind: 'zookeeper' | 'embedded';
  readonly state: ConnectionState;
  /** As the service grants it, which may be more than was asked for; before the first session what was asked for. */
  readonly sessionTimeoutMs: number;
  /** Connects; UNAVAILABLE if there is no session within `timeoutMs`. */
  start(timeoutMs: number): Promise<void>;
  /** Registers a member; resolves when it is in the list. */
  register(record: MemberRecord): Promise<Registration>;
  /**
   * All members of all types as last seen, in order of (type, sequence). A cache that watches keep fresh; while the connection
   * is not `connected` it stays as it was last seen.
   */
  members(): readonly Member[];
  /** Hears every change of `members()`; returns what ends the subscription. */
  onMembers(listener: (members: readonly Member[]) => void): () => void;
  onState(listener: (state: ConnectionState) => void): () => void;
  /**
   * Takes one life of a member out of the registry at once, without waiting for the end of its session: for whoever knows for certain
   * that its process has ended. Should it live after all it finds itself removed and registers again, with a new epoch at the end of the queue.
   *
   * @param instance as in its record
   * @returns false if that life was not registered any more
   */
  removeMember(id: string, instance: string): Promise<boolean>;
  /**
   * Ends the session of this process at the service, as if it had been silent for too long; this end finds out like that of a real
   * expiry. For experiments with failures.
   */
  expireSession(): Promise<void>;
  /** Ends the session, and with it all registrations, at once. Idempotent. */
  close(): Promise<void>;
}

/** The member of a type that leads: the one with the lowest sequence number. */
export function leaderOf(members: readonly Member[], type: string): Member | undefined {
  let leader: Member | undefined;
  for (const member of members)
    if (member.type === type && (!leader || member.sequence < leader.sequence)) leader = member;
  return leader;
}
