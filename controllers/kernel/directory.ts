import { status } from '@grpc/grpc-js';

import type { Clock } from '../../runtime/clock.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import { closest } from '../../runtime/suggestion.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';
import { Outliers } from './outliers.js';
import type { Observation, Standing } from './outliers.js';

/** How long a member is passed over after a call to it failed, unless it registers again. */
const SUSPECT_MS = 3000;
/** How long nobody is sent to a leader whose link broke, where another stands by: news that it leads is faster than a try that finds nobody. */
const BROKEN_MS = 150;
/** How long an unknown (member, epoch) may be news that has not arrived yet. */
const NEWS_MS = 1000;

/** A member in one of its lives. */
export interface MemberKey {
  readonly id: string;
  readonly epoch: bigint;
}

/** Where a member stands with this node; what comes later here goes before. */
export type PeerStanding = Standing | 'suspected' | 'dead';

/** Hears when a member is passed over for what it does or what gossip says, and when it is taken back. */
type OnStanding = (member: MemberKey, standing: Standing | 'dead', cause: string) => void;

const keyOf = ({ id, epoch }: MemberKey): string => `${id}@${String(epoch)}`;

/** A member that said that it leaves, for as long as it may take to finish what it has begun. */
interface Leaving {
  readonly member: Member;
  readonly cancel: () => void;
}

/**
 * Who is there, as callers see it: the coordinator's watched cache plus what broken calls have told since. Members are known by (id, epoch),
 * never by address alone.
 */
export class Directory {
  readonly #coordinator: Coordinator;
  readonly #clock: Clock;
  readonly #turn = new Map<string, number>();
  readonly #suspectedAtMs = new Map<string, number>();
  readonly #brokeAtMs = new Map<string, number>();
  readonly #byType = new Map<string, readonly Member[]>();
  /** When a member of a type was last registered, monotonic ms; of those that are there, when the members last changed. */
  readonly #lastSeenMs = new Map<string, number>();
  #present: ReadonlySet<string> = new Set();
  readonly #leaving = new Map<string, Leaving>();
  readonly #stopListening: () => void;
  readonly #listeners = new Set<() => void>();
  readonly #outliers: Outliers;
  readonly #onStanding: OnStanding;
  /** Lives of members that gossip holds for gone; those among them that are listed, as they were told. */
  readonly #gone = new Set<string>();
  readonly #toldGone = new Map<string, Member>();

  constructor(coordinator: Coordinator, clock: Clock, onStanding: OnStanding = () => undefined) {
    this.#coordinator = coordinator;
    this.#clock = clock;
    this.#onStanding = onStanding;
    const count = (type: string): number => this.#ofType(type).length;
    this.#outliers = new Outliers({ clock, count, onChange: onStanding });
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

  /** Who leads a type, or will, where the one that leads has said that it leaves. */
  nextLeader(type: string): Member | undefined {
    return leaderOf(this.#ofType(type), type);
  }

  /** A member in this life: registered, or leaving. */
  find(key: MemberKey): Member | undefined {
    const { id, epoch } = key;
    const registered = this.members().find((member) => member.id === id && member.epoch === epoch);
    return registered ?? this.#leaving.get(keyOf(key))?.member;
  }

  /** Those of whom something may still be wanted: the registered, and those that leave and finish what they have begun. */
  reachable(): readonly Member[] {
    if (this.#leaving.size === 0) return this.members();
    return [...this.members(), ...[...this.#leaving.values()].map(({ member }) => member)];
  }

  /** A member says that it leaves: it gets no new work, and can be reached for `graceMs` although it is not registered any more. */
  leaves(key: MemberKey, graceMs: number): void {
    const member = this.find(key);
    if (!member || this.#leaving.has(keyOf(key))) return;
    const cancel = this.#clock.schedule(graceMs, () => {
      this.hasLeft(key);
    });
    this.#leaving.set(keyOf(key), { member, cancel });
    this.#byType.clear();
  }

  /** A member that left has ended, or its time is over. */
  hasLeft(key: MemberKey): void {
    const leaving = this.#leaving.get(keyOf(key));
    if (!leaving) return;
    leaving.cancel();
    this.#leaving.delete(keyOf(key));
    this.#byType.clear();
    for (const listener of [...this.#listeners]) listener();
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
   * The member of a type to use next: the leader where only it serves, else each in turn. Suspected members, and those that do worse than the others,
   * come only if there is no other, or as a probe; those that gossip holds for gone only if it does so of all. UNAVAILABLE if there
   * is none, or the link to the leader has just broken and another stands by.
   */
  pick(type: string): Member {
    const members = this.#ofType(type);
    const first = members[0];
    if (!first) throw this.#missing(type);
    if (first.routing === 'leader') return this.#leading(members, leaderOf(members, type) ?? first);
    const trusted = this.#trusted(this.#withoutGone(members));
    const probed = this.#outliers.probe(trusted);
    if (probed) return probed;
    const choice = this.#outliers.usable(trusted);
    const turn = (this.#turn.get(type) ?? -1) + 1;
    this.#turn.set(type, turn);
    return choice[turn % choice.length] ?? first;
  }

  /** The link to this member broke, or could not be made. */
  broke(member: MemberKey): void {
    this.#brokeAtMs.set(keyOf(member), this.#clock.monotonicMs());
  }

  /**
   * Gossip says that this life of a member is over, or that it isn't. Where routing leaves a choice it is passed over for as long, unless
   * gossip says so of all. Who leads, the coordinator alone decides: it counts as a link that broke.
   */
  judge(member: MemberKey, state: 'alive' | 'dead' | 'left'): void {
    const key = keyOf(member);
    if (state === 'alive') {
      this.#gone.delete(key);
      // Calls broke because it was away.
      this.#suspectedAtMs.delete(key);
    } else this.#gone.add(key);
    this.#tellGone(state);
    if (state === 'dead' && this.find(member)?.routing === 'leader') this.broke(member);
    for (const listener of [...this.#listeners]) listener();
  }

  /** A call to this member failed: others are preferred for a while. */
  suspect(member: MemberKey): void {
    this.#suspectedAtMs.set(keyOf(member), this.#clock.monotonicMs());
    this.observe(member, { kind: 'failed' });
  }

  /** What was seen of a member, whom the routing of its type leaves a choice; see `Outliers`. What fails at one that is gone by gossip says nothing of how well it works. */
  observe(member: MemberKey, observation: Observation): void {
    if (this.#gone.has(keyOf(member))) return;
    const found = this.find(member);
    if (found?.routing === 'any') this.#outliers.observe(found, observation);
  }

  /** Where a member stands with this node. */
  standingOf(member: MemberKey): PeerStanding {
    if (this.#gone.has(keyOf(member))) return 'dead';
    return this.isSuspected(member) ? 'suspected' : this.#outliers.standingOf(member);
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
    for (const { cancel } of this.#leaving.values()) cancel();
    this.#leaving.clear();
  }

  /** Members of a type, from memory until the members change. */
  #ofType(type: string): readonly Member[] {
    const known = this.#byType.get(type);
    if (known) return known;
    const members = this.members().filter((member) => member.type === type);
    const staying = members.filter((member) => !this.#leaving.has(keyOf(member)));
    const choice = staying.length > 0 ? staying : members;
    this.#byType.set(type, choice);
    return choice;
  }

  /** A name that is nearly that of a type that has been here, and never was here itself, is a typing error: no use to wait for it. */
  #missing(type: string): FractoryError {
    const lastSeenMs = this.#lastSeenMs.get(type);
    if (lastSeenMs !== undefined) return noMember(type, this.#clock.monotonicMs() - lastSeenMs);
    const meant = closest(type, this.#lastSeenMs.keys());
    if (meant === undefined) return noMember(type);
    return new FractoryError(
      status.NOT_FOUND,
      'UNKNOWN_TYPE',
      `no node of type ${type} has been in this data center; did you mean ${meant}?`,
    );
  }

  #leading(members: readonly Member[], leader: Member): Member {
    const brokeAtMs = this.#brokeAtMs.get(keyOf(leader)) ?? -Infinity;
    if (members.length === 1 || this.#clock.monotonicMs() - brokeAtMs >= BROKEN_MS) return leader;
    const { id, epoch } = leader;
    throw unavailable('OWNER_LOST', `${id} was lost, and who leads next is not known yet`, {
      metadata: { owner: id, epoch: String(epoch) },
    });
  }

  /** Tells of those that are listed and gone by gossip, and that are one of both no more. */
  #tellGone(state: string): void {
    if (this.#gone.size === 0 && this.#toldGone.size === 0) return;
    const gone = new Map(
      this.members().flatMap((one) => (this.#gone.has(keyOf(one)) ? [[keyOf(one), one]] : [])),
    );
    for (const [key, member] of this.#toldGone) {
      if (gone.has(key)) continue;
      this.#toldGone.delete(key);
      const cause = this.#gone.has(key) ? 'its life is over' : `${state} by gossip`;
      this.#onStanding(member, this.#outliers.standingOf(member), cause);
    }
    for (const [key, member] of gone) {
      if (this.#toldGone.has(key)) continue;
      this.#toldGone.set(key, member);
      this.#onStanding(member, 'dead', `${state} by gossip`);
    }
  }

  #withoutGone(members: readonly Member[]): readonly Member[] {
    if (this.#gone.size === 0) return members;
    const present = members.filter((member) => !this.#gone.has(keyOf(member)));
    return present.length > 0 ? present : members;
  }

  #trusted(members: readonly Member[]): readonly Member[] {
    if (this.#suspectedAtMs.size === 0) return members;
    const trusted = members.filter((member) => !this.isSuspected(member));
    return trusted.length > 0 ? trusted : members;
  }

  #see(): void {
    const before = this.#present;
    this.#present = new Set(this.members().map(({ type }) => type));
    const nowMs = this.#clock.monotonicMs();
    for (const type of [...before, ...this.#present]) this.#lastSeenMs.set(type, nowMs);
  }

  #forgetGone(): void {
    const known = new Set(this.members().map(keyOf));
    for (const key of [...this.#suspectedAtMs.keys()])
      if (!known.has(key)) this.#suspectedAtMs.delete(key);
    for (const key of [...this.#brokeAtMs.keys()]) if (!known.has(key)) this.#brokeAtMs.delete(key);
    this.#outliers.retain(known);
    this.#tellGone('dead');
  }
}

/** `missingMs`: how long ago the last one went. */
function noMember(type: string, missingMs?: number): FractoryError {
  const since =
    missingMs === undefined
      ? ''
      : ` (the last one went ${String(Math.round(missingMs / 1000))} s ago)`;
  return unavailable(
    'NO_MEMBER',
    `no ${type} node is registered${since}; ./datacenter status lists those that are, and ./datacenter restart brings back one that was drained`,
    {
      metadata: {
        type,
        ...(missingMs === undefined ? {} : { missing_ms: String(Math.round(missingMs)) }),
      },
    },
  );
}
