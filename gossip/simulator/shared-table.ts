import type { MemberTable, MemberView } from '../core/member.js';

/** What all members of a simulation knew of each other when it began. */
export class Roster {
  readonly views: readonly MemberView[];
  readonly places: ReadonlyMap<string, number>;

  constructor(views: readonly MemberView[]) {
    this.views = views;
    this.places = new Map(views.map(({ name }, place) => [name, place]));
  }
}

/** A table that keeps only what differs from the roster: ten thousand whole ones would be a hundred million views. */
export class SharedTable implements MemberTable {
  readonly #roster: Roster;
  /** By place: ten thousand tables share one map of names. Null = it was forgotten. */
  readonly #changed = new Map<number, MemberView | null>();
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
    const place = this.#placeOf(name);
    return place === undefined ? undefined : this.at(place);
  }

  at(place: number): MemberView | undefined {
    const { views } = this.#roster;
    if (place >= views.length) return this.#late[place - views.length];
    const view = views[place];
    if (!view || this.#changed.size === 0) return view;
    const changed = this.#changed.get(place);
    return changed === undefined ? view : (changed ?? undefined);
  }

  set(view: MemberView): void {
    const place = this.#placeOf(view.name);
    const known = this.#roster.views.length;
    if (place === undefined) {
      this.#latePlaces.set(view.name, known + this.#late.length);
      this.#late.push(view);
    } else if (place >= known) this.#late[place - known] = view;
    else this.#changed.set(place, view);
  }

  /** Leaves a gap: places of others stay. */
  delete(name: string): void {
    const place = this.#placeOf(name);
    if (place === undefined) return;
    const known = this.#roster.views.length;
    if (place >= known) this.#late[place - known] = undefined;
    else this.#changed.set(place, null);
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
    for (const place of other.#changed.keys()) {
      const view = this.#changed.has(place) ? undefined : this.at(place);
      if (view) yield view;
    }
    for (const view of this.#late) if (view) yield view;
  }

  #placeOf(name: string): number | undefined {
    return this.#roster.places.get(name) ?? this.#latePlaces.get(name);
  }
}
