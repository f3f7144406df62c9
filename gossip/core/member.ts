import type { Versions } from '../wire/messages.js';

/** Where packets and connections go. */
export interface Endpoint {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
}

/** `left`: it said goodbye. `dead`: it was not heard of any more. */
export type MemberState = 'alive' | 'suspect' | 'dead' | 'left';

/** What one member knows of another. Never changed: a change is another view. */
export interface MemberView extends Endpoint {
  readonly name: string;
  readonly meta: Uint8Array;
  readonly versions: Versions;
  /** Only the member itself raises it. */
  readonly incarnation: number;
  readonly state: MemberState;
  /** When the state began, monotonic ms. */
  readonly since: number;
}

export function isGone({ state }: Pick<MemberView, 'state'>): boolean {
  return state === 'dead' || state === 'left';
}

export function sameEndpoint(one: Endpoint, other: Endpoint): boolean {
  return one.port === other.port && sameBytes(one.address, other.address);
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return (
    one === other || (one.length === other.length && one.every((byte, at) => byte === other[at]))
  );
}

/** Whether both hold somebody for alive, and for the same: to tell it would change nothing. */
export function isSameAlive(one: Omit<MemberView, 'since'>, other: MemberView): boolean {
  return (
    one.state === 'alive' &&
    other.state === 'alive' &&
    one.incarnation === other.incarnation &&
    sameEndpoint(one, other) &&
    sameBytes(one.meta, other.meta) &&
    sameBytes(one.versions, other.versions)
  );
}

/** All that one member knows of the others, itself included. The simulator has one that shares what all members agree on. */
export interface MemberTable {
  readonly size: number;
  get(name: string): MemberView | undefined;
  /** By place, 0 to size - 1. Places change only when something is removed. */
  at(place: number): MemberView | undefined;
  set(view: MemberView): void;
  delete(name: string): void;
  [Symbol.iterator](): Iterator<MemberView>;
}

/** A table of its own. */
export class OwnTable implements MemberTable {
  readonly #views: MemberView[] = [];
  readonly #places = new Map<string, number>();

  get size(): number {
    return this.#views.length;
  }

  get(name: string): MemberView | undefined {
    const place = this.#places.get(name);
    return place === undefined ? undefined : this.#views[place];
  }

  at(place: number): MemberView | undefined {
    return this.#views[place];
  }

  set(view: MemberView): void {
    const place = this.#places.get(view.name);
    if (place === undefined) {
      this.#places.set(view.name, this.#views.length);
      this.#views.push(view);
    } else this.#views[place] = view;
  }

  delete(name: string): void {
    const place = this.#places.get(name);
    const last = this.#views.pop();
    if (place === undefined || !last) {
      if (last) this.#views.push(last);
      return;
    }
    this.#places.delete(name);
    if (place === this.#views.length) return;
    this.#views[place] = last;
    this.#places.set(last.name, place);
  }

  [Symbol.iterator](): Iterator<MemberView> {
    return this.#views[Symbol.iterator]();
  }
}
