import { status } from '@grpc/grpc-js';

import type { Clock } from '../../runtime/clock.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { closest } from '../../runtime/suggestion.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';

/** How long a member is passed over after a call to it failed, unless it registers again. */
const SUSPECT_MS = 3000;
/** How long an unknown (member, epoch) may be news that has not arrived yet. */
const NEWS_MS = 1000;

/** A member in one of its lives. */
export interface MemberKey {
  readonly id: string;
  readonly epoch: bigint;
}

const keyOf = ({ id, epoch }: MemberKey): string => `${id}@${String(epoch)}`;

/**
 * Who is there, as callers see it: the coordinator's watched cache plus what broken calls have told since. Members are known by (id, epoch),
 * never by address alone.
 */
export class Directory {
  readonly #coordinator: Coordinator;
  readonly #clock: Clock;
  readonly #turn = new Map<string, number>();
  readonly #suspectedAtMs = new Map<string, number>();
  readonly #byType = new Map<string, readonly Member[]>();
  readonly #seenTypes = new Set<string>();
  readonly #stopListening: () => void;
  readonly #listeners = new Set<() => void>();

  constructor(coordinator: Coordinator, clock: Clock) {
    this.#coordinator = coordinator;
    this.#clock = clock;
    this.#see();
    this.#stopListening = coordinator.onMembers(() => {
      this.#byType.clear();
      this.#see();
      this.#forgetGone();
      for (const listener of [...this.#listeners]) listener();
    });
  }

  members(): readonly Member[] {
    return this.#coordinator.members();
  }

  leader(type: string): Member | undefined {
    return leaderOf(this.members(), type);
  }

  find({ id, epoch }: MemberKey): Member | undefined {
    return this.members().find((member) => member.id === id && member.epoch === epoch);
  }

  /** A later life of a member: that of `key` is over. */
  laterLife({ id, epoch }: MemberKey): Member | undefined {
    return this.members().find((member) => member.id === id && member.epoch > epoch);
  }

  /** Why nothing can be asked of a member in a life in which it isn't there: STALE_OWNER if it has begun another, OWNER_LOST otherwise. */
  whyGone(key: MemberKey): FractoryError {
    const { id, epoch } = key;
    const later = this.laterLife(key);
    if (later)
      return new FractoryError(
        status.FAILED_PRECONDITION,
        'STALE_OWNER',
        `the capability is for ${id} in epoch ${String(epoch)}, it is now in epoch ${String(later.epoch)}`,
      );
    return unavailable('OWNER_LOST', `${id} (epoch ${String(epoch)}) is not in the data center`, {
      metadata: { owner: id, epoch: String(epoch) },
    });
  }

  /** Hears every change of the members; returns what ends the subscription. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The member of a type to use next: the leader where only it serves, else each in turn. Suspected members come only if there is no other.
   * UNAVAILABLE if there is none.
   */
  pick(type: string): Member {
    const members = this.#ofType(type);
    const first = members[0];
    if (!first) throw this.#missing(type);
    if (first.routing === 'leader') return leaderOf(members, type) ?? first;
    const choice = this.#trusted(members);
    const turn = (this.#turn.get(type) ?? -1) + 1;
    this.#turn.set(type, turn);
    return choice[turn % choice.length] ?? first;
  }

  /** A call to this member failed: others are preferred for a while. */
  suspect(member: MemberKey): void {
    this.#suspectedAtMs.set(keyOf(member), this.#clock.monotonicMs());
  }

  isSuspected(member: MemberKey): boolean {
    const atMs = this.#suspectedAtMs.get(keyOf(member));
    return atMs !== undefined && this.#clock.monotonicMs() - atMs < SUSPECT_MS;
  }

  /** Like `find`, but waits a moment for a registration that has not been heard of yet: not for a life that is over. */
  async findSoon(key: MemberKey): Promise<Member | undefined> {
    const known = this.find(key);
    if (known || this.laterLife(key)) return known;
    return new Promise((resolve) => {
      const done = (member: Member | undefined): void => {
        cancel();
        unsubscribe();
        resolve(member);
      };
      const cancel = this.#clock.schedule(NEWS_MS, () => {
        done(undefined);
      });
      const unsubscribe = this.subscribe(() => {
        const member = this.find(key);
        if (member) done(member);
      });
    });
  }

  close(): void {
    this.#stopListening();
    this.#listeners.clear();
  }

  /** Members of a type, from memory until the members change. */
  #ofType(type: string): readonly Member[] {
    const known = this.#byType.get(type);
    if (known) return known;
    const members = this.members().filter((member) => member.type === type);
    this.#byType.set(type, members);
    return members;
  }

  /** A name that is nearly that of a type that has been here, and never was here itself, is a typing error: no use to wait for it. */
  #missing(type: string): FractoryError {
    const meant = this.#seenTypes.has(type) ? undefined : closest(type, this.#seenTypes);
    if (meant === undefined) return noMember(type);
    return new FractoryError(
      status.NOT_FOUND,
      'UNKNOWN_TYPE',
      `no node of type ${type} has been in this data center; did you mean ${meant}?`,
    );
  }

  #trusted(members: readonly Member[]): readonly Member[] {
    if (this.#suspectedAtMs.size === 0) return members;
    const trusted = members.filter((member) => !this.isSuspected(member));
    return trusted.length > 0 ? trusted : members;
  }

  #see(): void {
    for (const { type } of this.members()) this.#seenTypes.add(type);
  }

  #forgetGone(): void {
    const known = new Set(this.members().map(keyOf));
    for (const key of [...this.#suspectedAtMs.keys()])
      if (!known.has(key)) this.#suspectedAtMs.delete(key);
  }
}

function noMember(type: string): FractoryError {
  return unavailable(
    'NO_MEMBER',
    `no ${type} node is registered; ./datacenter status lists those that are`,
    {
      metadata: { type },
    },
  );
}
