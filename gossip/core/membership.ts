import type { Clock } from '../../runtime/clock.js';
import type { Accusation, Alive, Message } from '../wire/messages.js';
import type { RemoteMember } from '../wire/push-pull.js';
import type { Awareness } from './awareness.js';
import { suspicionBounds, suspicionMs } from './formulas.js';
import type { SuspicionBounds } from './formulas.js';
import { isGone, sameBytes, sameEndpoint } from './member.js';
import type { MemberTable, MemberView } from './member.js';
import type { Profile } from './profile.js';

/** What the rest of a member does for its list. */
export interface MembershipParts {
  readonly profile: Profile;
  readonly clock: Clock;
  readonly table: MemberTable;
  readonly awareness: Awareness;
  /** Tells everybody; `finished` when it was told often enough. */
  spread(message: Message & { readonly name: string }, finished?: () => void): void;
  changed(change: MemberChange): void;
}

/** What happened to a member, as this one sees it. `failed`: it is dead. `conflict`: somebody else calls itself the same. */
export type MemberChange =
  | { readonly kind: 'join' | 'update' | 'leave' | 'fail' | 'suspect'; readonly member: MemberView }
  | { readonly kind: 'conflict'; readonly member: MemberView; readonly other: Alive };

/** Somebody is suspected, and who says so. */
interface Suspicion {
  readonly bounds: SuspicionBounds;
  readonly startedMs: number;
  /** Without the first accuser. */
  readonly confirmedBy: Set<string>;
  readonly first: string;
  cancel: () => void;
}

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
  /** False = nobody is: to look costs as much as there are members. */
  #someGone = false;
  /** Called when everybody was told that we leave. */
  #left: (() => void) | undefined;

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

  /** Goes on with an incarnation that everybody knows. */
  resume(incarnation: number): void {
    this.#incarnation = incarnation;
  }

  /** Enters this member, or tells everybody that it has other tags, with a higher incarnation. */
  announce(about: Omit<Alive, 'incarnation' | 'name'>, finished?: () => void): void {
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
    if (known && !sameEndpoint(known, said) && !this.#mayMove(known)) {
      this.#parts.changed({ kind: 'conflict', member: known, other: said });
      return;
    }
    const moved = known !== undefined && !sameEndpoint(known, said);
    if (known && !moved && said.incarnation <= known.incarnation && !isSelf) return;
    if (known && isSelf) {
      if (said.incarnation < known.incarnation) return;
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
    const known = this.#parts.table.get(said.name);
    if (!known || said.incarnation < known.incarnation) return;
    const suspicion = this.#suspicions.get(said.name);
    if (suspicion) {
      if (this.#confirm(suspicion, said)) this.#parts.spread({ kind: 'suspect', ...said });
      return;
    }
    if (known.state !== 'alive') return;
    if (said.name === this.#self) {
      this.#refute(known, said.incarnation);
      return;
    }
    this.#parts.spread({ kind: 'suspect', ...said });
    const view: MemberView = {
      ...known,
      ...{ incarnation: said.incarnation, state: 'suspect', since: this.#nowMs() },
    };
    this.#parts.table.set(view);
    this.#begin(view, said.from);
    this.#parts.changed({ kind: 'suspect', member: view });
  }

  dead(said: Accusation): void {
    const known = this.#parts.table.get(said.name);
    if (!known || said.incarnation < known.incarnation) return;
    this.#acquit(said.name);
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
    const isGoodbye = said.name === said.from;
    this.#parts.spread(
      { kind: 'dead', ...said },
      said.name === this.#self ? this.#left : undefined,
    );
    const view: MemberView = {
      ...known,
      ...{ incarnation: said.incarnation, state: isGoodbye ? 'left' : 'dead' },
      since: this.#nowMs(),
    };
    this.#parts.table.set(view);
    this.#someGone = true;
    this.#parts.changed({ kind: isGoodbye ? 'leave' : 'fail', member: view });
  }

  /** What another member holds of somebody. Whom it thinks dead is suspected here: it may only be the other's view that is old. */
  merge(remote: RemoteMember): void {
    const { name, incarnation, state } = remote;
    if (state === 'alive') this.alive(remote);
    else if (state === 'left') this.dead({ incarnation, name, from: name });
    else this.suspect({ incarnation, name, from: this.#self });
  }

  /** Forgets who was gone for so long. */
  forget(goneForMs: number): void {
    if (!this.#someGone) return;
    const { table } = this.#parts;
    const nowMs = this.#nowMs();
    const over = [...table].filter((view) => isGone(view) && nowMs - view.since > goneForMs);
    for (const { name } of over) if (name !== this.#self) table.delete(name);
    this.#someGone = [...table].some(isGone);
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
    this.#incarnation = next(Math.max(this.#incarnation, accused));
    this.#parts.awareness.add(1);
    const view: MemberView = { ...known, incarnation: this.#incarnation, state: 'alive' };
    this.#parts.table.set(view);
    this.#parts.spread(aliveOf(view));
  }

  #begin(view: MemberView, first: string): void {
    const { profile, table } = this.#parts;
    const bounds = suspicionBounds(profile, table.size);
    const startedMs = this.#nowMs();
    const suspicion = { bounds, startedMs, first, confirmedBy: new Set<string>() };
    this.#suspicions.set(view.name, { ...suspicion, cancel: () => undefined });
    this.#arm(view.name);
  }

  /** False where this accuser was heard before, or enough others were. */
  #confirm(suspicion: Suspicion, { name, from }: Accusation): boolean {
    const { confirmedBy, first, bounds } = suspicion;
    if (from === first || confirmedBy.has(from) || confirmedBy.size >= bounds.wanted) return false;
    confirmedBy.add(from);
    suspicion.cancel();
    this.#arm(name);
    return true;
  }

  #arm(name: string): void {
    const suspicion = this.#suspicions.get(name);
    if (!suspicion) return;
    const { bounds, confirmedBy, startedMs } = suspicion;
    const lastsMs = suspicionMs(bounds, confirmedBy.size) - (this.#nowMs() - startedMs);
    suspicion.cancel = this.#parts.clock.schedule(Math.max(0, lastsMs), () => {
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

function aliveOf(view: MemberView): Message & { readonly name: string } {
  const { name, incarnation, address, port, meta, versions } = view;
  return { kind: 'alive', name, incarnation, address, port, meta, versions };
}

function sameWords(known: MemberView, said: Alive): boolean {
  return sameBytes(known.meta, said.meta) && sameBytes(known.versions, said.versions);
}

/** Incarnations are 32 bits; past the last they begin anew, as Go's do. */
function next(incarnation: number): number {
  return (incarnation + 1) >>> 0;
}
