import type { Clock } from '../../runtime/clock.js';
import type { Accusation, Alive, Message } from '../wire/messages.js';
import type { RemoteMember } from '../wire/push-pull.js';
import type { Awareness } from './awareness.js';
import type { Drop } from './drop.js';
import { suspicionBounds } from './formulas.js';
import { isGone, sameBytes, sameEndpoint } from './member.js';
import type { MemberState, MemberTable, MemberView } from './member.js';
import type { Profile } from './profile.js';
import { Suspicion } from './suspicion.js';

/** What the rest of a member does for its list. */
export interface MembershipParts {
  readonly profile: Profile;
  readonly clock: Clock;
  readonly table: MemberTable;
  readonly awareness: Awareness;
  /** Tells everybody; `finished` when it was told often enough. */
  spread(message: Message & { readonly name: string }, finished?: () => void): void;
  changed(change: MemberChange): void;
  /** Something that was said counts for nothing. */
  dropped?(why: Drop): void;
  /** Members that are known at most, gone ones too; more are not taken. Default: as many as there are. */
  readonly maxMembers?: number;
}

/** What happened to a member, as this one sees it. `failed`: it is dead. `conflict`: somebody else calls itself the same. */
export type MemberChange =
  | { readonly kind: 'join' | 'update' | 'leave' | 'fail' | 'suspect'; readonly member: MemberView }
  | { readonly kind: 'conflict'; readonly member: MemberView; readonly other: Alive };

/**
 * The list of members and the rules by which it changes: what is said with a higher incarnation counts, at the same one the worse counts, and only a member itself
 * raises its own. Messages may come in any order, twice or never. SWIM with Lifeguard's suspicion, as memberlist has it.
 */
export class Membership {
  readonly #parts: MembershipParts;
  readonly #suspicions = new Map<string, Suspicion>();
  readonly #self: string;
  #incarnation = 0;
  #leaving = false;
  /** Names of those who are: to look for them costs as much as there are members. */
  readonly #gone = new Set<string>();
  /** Called when everybody was told that we leave. */
  #left: (() => void) | undefined;
  #refuted = 0;

  constructor(self: string, parts: MembershipParts) {
    this.#self = self;
    this.#parts = parts;
  }

  /** Members that are neither dead nor gone, as seen here; this one too. */
  get isAlone(): boolean {
    for (const { name, state } of this.#parts.table)
      if (name !== this.#self && (state === 'alive' || state === 'suspect')) return false;
    return true;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** How often this member said that it lives, or is another than somebody told. */
  get refuted(): number {
    return this.#refuted;
  }

  /** Goes on with an incarnation that everybody knows. */
  resume(incarnation: number): void {
    this.#incarnation = incarnation;
  }

  /** Enters this member, or tells everybody that it has other tags, with a higher incarnation. Who has said goodbye has nothing more to tell. */
  announce(about: Omit<Alive, 'incarnation' | 'name'>, finished?: () => void): void {
    if (this.#leaving) {
      finished?.();
      return;
    }
    this.#incarnation = next(this.#incarnation);
    const known = this.#parts.table.get(this.#self);
    const view = this.#viewOf({ ...about, name: this.#self, incarnation: this.#incarnation });
    this.#parts.table.set(view);
    this.#parts.spread(aliveOf(view), finished);
    this.#parts.changed({ kind: known ? 'update' : 'join', member: view });
  }

  /** Says goodbye; `told` when it was passed on often enough. */
  leave(told: () => void): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#left = told;
    const incarnation = this.#incarnation;
    this.dead({ incarnation, name: this.#self, from: this.#self });
  }

  alive(said: Alive): void {
    const { table } = this.#parts;
    const isSelf = said.name === this.#self;
    if (isSelf && this.#leaving) return;
    const known = table.get(said.name);
    if (!this.#isTaken(said, known) || this.#isOutOfReach(said, known)) return;
    const moved = known !== undefined && !sameEndpoint(known, said);
    if (moved && !this.#mayMove(known)) {
      this.#parts.dropped?.('conflict');
      this.#parts.changed({ kind: 'conflict', member: known, other: said });
      return;
    }
    if (known && !moved && said.incarnation <= known.incarnation && !isSelf) {
      if (said.incarnation < known.incarnation) this.#parts.dropped?.('stale');
      return;
    }
    if (known && isSelf) {
      if (said.incarnation < known.incarnation) {
        this.#parts.dropped?.('stale');
        return;
      }
      // Our own echo, unless somebody under our name says something else.
      if (said.incarnation === known.incarnation && sameWords(known, said)) return;
      this.#refute(known, said.incarnation);
      return;
    }
    this.#acquit(said.name);
    const wasAlive = known !== undefined && known.state === 'alive';
    const view = this.#viewOf(said, wasAlive ? known.since : undefined);
    table.set(view);
    this.#parts.spread(aliveOf(view));
    if (!known || isGone(known)) this.#parts.changed({ kind: 'join', member: view });
    else if (!sameBytes(known.meta, said.meta))
      this.#parts.changed({ kind: 'update', member: view });
  }

  suspect(said: Accusation): void {
    if (this.#isUnanswerable(said)) return;
    // Most accusations are heard often: no more is looked at than has to be.
    const suspicion = this.#suspicions.get(said.name);
    if (suspicion && said.incarnation >= suspicion.incarnation) {
      if (suspicion.isFull) return;
      // False where this accuser was heard before.
      if (!suspicion.confirm(said.from)) return;
      this.#arm(said.name, suspicion);
      this.#parts.spread(passedOn('suspect', said));
      return;
    }
    const known = this.#accused(said);
    if (known?.state !== 'alive') return;
    if (said.name === this.#self) {
      this.#refute(known, said.incarnation);
      return;
    }
    this.#parts.spread(passedOn('suspect', said));
    const view = this.#changed(known, said.incarnation, 'suspect');
    this.#parts.table.set(view);
    this.#begin(view, said.from);
    this.#parts.changed({ kind: 'suspect', member: view });
  }

  dead(said: Accusation): void {
    if (this.#isUnanswerable(said)) return;
    const known = this.#accused(said);
    if (!known) return;
    if (isGone(known)) {
      // Nothing new, but what is said of a life before this end must not bring it back, in whichever order it comes.
      const { incarnation } = said;
      if (incarnation > known.incarnation) this.#parts.table.set({ ...known, incarnation });
      return;
    }
    if (said.name === this.#self && !this.#leaving) {
      this.#refute(known, said.incarnation);
      return;
    }
    this.#acquit(said.name);
    const isGoodbye = said.name === said.from;
    const told = said.name === this.#self ? this.#left : undefined;
    this.#parts.spread(passedOn('dead', said), told);
    const view = this.#changed(known, said.incarnation, isGoodbye ? 'left' : 'dead');
    this.#parts.table.set(view);
    this.#gone.add(said.name);
    this.#parts.changed({ kind: isGoodbye ? 'leave' : 'fail', member: view });
  }

  /** What another member holds of somebody. Whom it thinks dead is suspected here: it may only be the other's view that is old. */
  merge(remote: RemoteMember): void {
    const { name, incarnation, state } = remote;
    const known = this.#parts.table.get(name);
    // Who had our name before is not forgotten there, so we are not seen.
    const isNamesake = name === this.#self && state !== 'alive' && state !== 'left';
    if (isNamesake && known && !sameEndpoint(known, remote))
      this.#parts.changed({ kind: 'conflict', member: known, other: remote });
    if (state === 'alive') this.alive(remote);
    else if (this.#isUnanswerable({ incarnation, name, from: name })) return;
    else if (state === 'left') this.dead({ incarnation, name, from: name });
    else this.suspect({ incarnation, name, from: this.#self });
  }

  /** Forgets who was gone for so long. */
  forget(goneForMs: number): void {
    const { table } = this.#parts;
    const nowMs = this.#nowMs();
    for (const name of this.#gone) {
      const view = table.get(name);
      if (view && isGone(view) && nowMs - view.since <= goneForMs) continue;
      if (view && isGone(view) && name === this.#self) continue;
      this.#gone.delete(name);
      if (view && isGone(view)) table.delete(name);
    }
  }

  /** This member itself was away for so long, ms: suspects get as much more time, since what they said meanwhile is still to be read. */
  stalled(forMs: number): void {
    for (const [name, suspicion] of this.#suspicions) {
      suspicion.postpone(forMs);
      this.#arm(name, suspicion);
    }
  }

  /** Ends all timers. */
  stop(): void {
    for (const { cancel } of this.#suspicions.values()) cancel();
    this.#suspicions.clear();
  }

  #nowMs(): number {
    return this.#parts.clock.monotonicMs();
  }

  #viewOf(said: Alive, since = this.#nowMs()): MemberView {
    const { name, incarnation, address, port, meta, versions } = said;
    return { name, incarnation, address, port, meta, versions, state: 'alive', since };
  }

  /** Property by property, as in `#viewOf`: views of one shape are cheaper to read, and spreads make several. */
  #changed(known: MemberView, incarnation: number, state: MemberState): MemberView {
    const { name, address, port, meta, versions } = known;
    const since = this.#nowMs();
    return { name, incarnation, address, port, meta, versions, state, since };
  }

  /** Nobody could answer it: only who made it up accuses so. What this member finds out by itself counts. */
  #isUnanswerable({ incarnation, from }: Accusation): boolean {
    if (incarnation < HIGHEST || from === this.#self) return false;
    this.#parts.dropped?.('unfit');
    return true;
  }

  /** A member comes to the highest incarnation by answering at the one before; said of others it would let nothing of theirs count any more. */
  #isOutOfReach({ incarnation }: Alive, known: MemberView | undefined): boolean {
    if (incarnation < HIGHEST || (known && known.incarnation >= HIGHEST - 1)) return false;
    this.#parts.dropped?.('unfit');
    return true;
  }

  /** Whom it is said of, if that counts. */
  #accused({ name, incarnation }: Accusation): MemberView | undefined {
    const known = this.#parts.table.get(name);
    if (known && incarnation >= known.incarnation) return known;
    this.#parts.dropped?.(known ? 'stale' : 'unknown_member');
    return undefined;
  }

  /** Whether it can be said of a member at all, and there is a place for it. */
  #isTaken({ versions }: Alive, known: MemberView | undefined): boolean {
    const [least = 0, most = 0] = versions;
    const { table, maxMembers = Infinity } = this.#parts;
    if (least === 0 || most === 0 || least > most) this.#parts.dropped?.('unfit');
    else if (!known && table.size >= maxMembers) this.#parts.dropped?.('over_limit');
    else return true;
    return false;
  }

  /** Whether a name may be taken over from another address. */
  #mayMove({ state, since, name }: MemberView): boolean {
    if (name === this.#self) return false;
    const { deadMemberReclaimMs } = this.#parts.profile;
    if (state === 'left') return true;
    const deadMs = this.#nowMs() - since;
    return state === 'dead' && deadMemberReclaimMs > 0 && deadMs >= deadMemberReclaimMs;
  }

  /** Tells everybody that this member lives, louder than who says otherwise. */
  #refute(known: MemberView, accused: number): void {
    this.#refuted++;
    this.#incarnation = next(Math.max(this.#incarnation, accused));
    this.#parts.awareness.add(1);
    const view: MemberView = { ...known, incarnation: this.#incarnation, state: 'alive' };
    this.#parts.table.set(view);
    this.#parts.spread(aliveOf(view));
  }

  #begin({ name, incarnation }: MemberView, first: string): void {
    const { profile, table } = this.#parts;
    const bounds = suspicionBounds(profile, table.size);
    const suspicion = new Suspicion(incarnation, first, this.#nowMs(), bounds);
    this.#suspicions.set(name, suspicion);
    this.#arm(name, suspicion);
  }

  #arm(name: string, suspicion: Suspicion): void {
    suspicion.cancel();
    suspicion.cancel = this.#parts.clock.schedule(suspicion.leftMs(this.#nowMs()), () => {
      this.#suspicions.delete(name);
      const known = this.#parts.table.get(name);
      if (known?.state !== 'suspect') return;
      this.dead({ incarnation: known.incarnation, name, from: this.#self });
    });
  }

  #acquit(name: string): void {
    this.#suspicions.get(name)?.cancel();
    this.#suspicions.delete(name);
  }
}

/** What was said, as it is told on. */
function passedOn(kind: 'suspect' | 'dead', said: Accusation): Message & Accusation {
  // A message that came is told on as it is.
  if ('kind' in said && said.kind === kind) return said as Message & Accusation;
  const { incarnation, name, from } = said;
  return { kind, incarnation, name, from };
}

function aliveOf(view: MemberView): Message & { readonly name: string } {
  const { name, incarnation, address, port, meta, versions } = view;
  return { kind: 'alive', name, incarnation, address, port, meta, versions };
}

function sameWords(known: MemberView, said: Alive): boolean {
  return sameBytes(known.meta, said.meta) && sameBytes(known.versions, said.versions);
}

const HIGHEST = 0xff_ff_ff_ff;

/** Incarnations are 32 bits; past the last they begin anew, as Go's do. */
function next(incarnation: number): number {
  return (incarnation + 1) >>> 0;
}
