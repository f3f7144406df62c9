import type { MemberState } from '../../../gossip/core/member.js';
import type { MemberKey } from '../directory.js';

/** What gossip says of one life of a member. */
export interface Verdict {
  readonly key: MemberKey;
  readonly state: MemberState;
  /** Monotonic ms. */
  readonly sinceMs: number;
}

const textOf = ({ id, epoch }: MemberKey): string => `${id}@${String(epoch)}`;

const isGone = (state: MemberState): boolean => state === 'dead' || state === 'left';

/**
 * Makes verdicts about members, known by (id, epoch), of what gossip tells about processes, known by name. A process that registers again goes on under another
 * epoch, so what was said of the one before says nothing about it; a member that is started again is another process. Pure: events in, changes out.
 */
export class GossipVerdicts {
  readonly #onChange: (key: MemberKey, state: MemberState) => void;
  /** By the name of the process. */
  readonly #told = new Map<string, Verdict>();
  #gone: ReadonlyMap<string, Verdict> = new Map();

  /** `onChange` hears when a life of a member is gone (`dead`, `left`), and when that is taken back (`alive`). */
  constructor(onChange: (key: MemberKey, state: MemberState) => void) {
    this.#onChange = onChange;
  }

  /** Processes that were heard of and not forgotten. */
  get size(): number {
    return this.#told.size;
  }

  /** How a process is; `key`: which member it is, by its last words. */
  hear(name: string, key: MemberKey, state: MemberState, sinceMs: number): void {
    this.#told.set(name, { key, state, sinceMs });
    this.#judge();
  }

  /** Forgets processes that ended, except those of which somebody still wants to know: of the others nothing was taken back. */
  forget(isOver: (name: string, verdict: Verdict) => boolean): void {
    const over = [...this.#told].filter(([name, told]) => isGone(told.state) && isOver(name, told));
    for (const [name] of over) this.#told.delete(name);
    if (over.length > 0) this.#judge();
  }

  isGone(key: MemberKey): boolean {
    return this.#gone.has(textOf(key));
  }

  [Symbol.iterator](): IterableIterator<[string, Verdict]> {
    return this.#told.entries();
  }

  /** A life is gone if a process of it is, and none is there. */
  #judge(): void {
    const before = this.#gone;
    const gone = new Map<string, Verdict>();
    for (const told of this.#told.values())
      if (isGone(told.state)) gone.set(textOf(told.key), told);
    for (const { key, state } of this.#told.values()) if (!isGone(state)) gone.delete(textOf(key));
    this.#gone = gone;
    for (const [text, { key, state }] of gone)
      if (before.get(text)?.state !== state) this.#onChange(key, state);
    for (const [text, { key }] of before) if (!gone.has(text)) this.#onChange(key, 'alive');
  }
}
