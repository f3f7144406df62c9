import type { MemberTable, MemberView } from '../core/member.js';

/** What all members of a simulation knew of each other when it began. */
export class Roster {
  readonly views: readonly MemberView[];
  readonly places: ReadonlyMap<string, number>;
  /** By place, 1 = some table may hold something else of this member: of most members nobody does. */
  readonly #touched: Uint8Array;

  constructor(views: readonly MemberView[]) {
    this.views = views;
    this.places = new Map(views.map(({ name }, place) => [name, place]));
    this.#touched = new Uint8Array(views.length);
  }

  touch(place: number): void {
    this.#touched[place] = 1;
  }

  isTouched(place: number): boolean {
    return this.#touched[place] === 1;
  }
}

/** A table that keeps only what differs from the roster: ten thousand whole ones would be a hundred million views. */
export class SharedTable implements MemberTable {
  readonly #roster: Roster;
  /** By name. Null = it was forgotten. */
  readonly #changed = new Map<string, MemberView | null>();
  /** Those who came later; their places follow those of the roster. */
  readonly #late: (MemberView | undefined)[] = [];
  readonly #latePlaces = new Map<string, number>();

  constructor(roster: Roster) {
    this.#roster = roster;
  }

  get size(): number {
    return this.#roster.views.length + this.#late.length;
  }

  get(name: string): MemberView | undefined {
    const changed = this.#changed.get(name);
    if (changed !== undefined) return changed ?? undefined;
    const place = this.#roster.places.get(name);
    if (place !== undefined) return this.#roster.views[place];
    const late = this.#latePlaces.get(name);
    return late === undefined ? undefined : this.#late[late];
  }

  at(place: number): MemberView | undefined {
    const { views } = this.#roster;
    if (place >= views.length) return this.#late[place - views.length];
    const view = views[place];
    if (!view || !this.#roster.isTouched(place)) return view;
    const changed = this.#changed.get(view.name);
    return changed === undefined ? view : (changed ?? undefined);
  }

  set(view: MemberView): void {
    const { name } = view;
    const place = this.#roster.places.get(name);
    if (place !== undefined) {
      this.#change(name, place, view);
      return;
    }
    const late = this.#latePlaces.get(name);
    if (late !== undefined) this.#late[late] = view;
    else this.#latePlaces.set(name, this.#late.push(view) - 1);
  }

  /** Leaves a gap: places of others stay. */
  delete(name: string): void {
    const place = this.#roster.places.get(name);
    const late = this.#latePlaces.get(name);
    if (place !== undefined) this.#change(name, place, null);
    else if (late !== undefined) this.#late[late] = undefined;
  }

  *[Symbol.iterator](): Iterator<MemberView> {
    for (let place = 0; place < this.size; place++) {
      const view = this.at(place);
      if (view) yield view;
    }
  }

  /** What an exchange with this other one has to tell: all else is the same in both. */
  *differingFrom(other: SharedTable): Generator<MemberView> {
    for (const view of this.#changed.values()) if (view) yield view;
    for (const name of other.#changed.keys()) {
      const view = this.#changed.has(name) ? undefined : this.get(name);
      if (view) yield view;
    }
    for (const view of this.#late) if (view) yield view;
  }

  #change(name: string, place: number, view: MemberView | null): void {
    this.#roster.touch(place);
    this.#changed.set(name, view);
  }
}
