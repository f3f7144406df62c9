import type { JoinIntent, LeaveIntent } from './intents.js';

/** `leaving`: it said that it goes, and is still there. */
export type Standing = 'alive' | 'leaving' | 'left' | 'failed';

/** What follows from an intent: `refute` = it is about this member, which is here to stay. */
export type IntentOutcome = 'old' | 'news' | 'left' | 'pruned' | 'refute';

interface Known {
  standing: Standing;
  /** Of the last intent. */
  time: number;
  /** To be forgotten as soon as it is gone. */
  prune: boolean;
}

/** Intents of members that were not heard of yet are kept for when they are. */
const MOST_WAITING = 1024;

/**
 * Who is here, who left on purpose and who failed, as agents of Serf see it: by intents, of which the latest counts, on top of what memberlist finds out. Pure.
 */
export class Standings {
  readonly #self: string;
  readonly #known = new Map<string, Known>();
  readonly #waiting = new Map<string, { readonly time: number; readonly leaves: boolean }>();
  readonly #pruned = new Set<string>();

  constructor(self: string) {
    this.#self = self;
  }

  of(name: string): Standing | undefined {
    return this.#known.get(name)?.standing;
  }

  /** Whether an operator had it removed: nobody shows it until it comes back. */
  isPruned(name: string): boolean {
    return this.#pruned.has(name);
  }

  /** By name; may be read in steps, while it changes. */
  all(): Iterable<readonly [string, Readonly<Known>]> {
    return this.#known.entries();
  }

  /** Whether memberlist told of it, and it was not removed. */
  knows(name: string): boolean {
    return this.#known.has(name);
  }

  /** All names that are kept, of those too that were removed; may be read in steps. */
  *names(): Generator<string> {
    yield* this.#known.keys();
    yield* this.#pruned;
  }

  /** Memberlist says that it is here. */
  came(name: string): void {
    this.#pruned.delete(name);
    const known = this.#known.get(name);
    if (known) {
      known.standing = 'alive';
      known.prune = false;
      return;
    }
    const intent = this.#waiting.get(name);
    this.#waiting.delete(name);
    const standing = intent?.leaves ? 'leaving' : 'alive';
    this.#known.set(name, { standing, time: intent?.time ?? 0, prune: false });
  }

  /** Memberlist says that it is gone. `goodbye`: in so many words. Who said before that it would go has left, however it went. */
  went(name: string, goodbye: boolean): 'left' | 'failed' {
    const known = this.#known.get(name);
    const standing = goodbye || known?.standing === 'leaving' ? 'left' : 'failed';
    if (known) known.standing = standing;
    if (known?.prune) this.#forget(name);
    return standing;
  }

  /** Memberlist has forgotten it. */
  forget(name: string): void {
    this.#known.delete(name);
    this.#pruned.delete(name);
  }

  leaves({ name, time, prune }: LeaveIntent, meansToGo: boolean): IntentOutcome {
    const known = this.#known.get(name);
    if (!known) return this.#wait(name, time, true);
    if (time <= known.time) return 'old';
    if (name === this.#self && !meansToGo) return 'refute';
    known.time = time;
    const { standing } = known;
    if (standing === 'alive' || standing === 'leaving') {
      known.standing = 'leaving';
      known.prune ||= prune;
      return 'news';
    }
    known.standing = 'left';
    if (prune) this.#forget(name);
    if (prune) return 'pruned';
    return standing === 'failed' ? 'left' : 'news';
  }

  /** In an exchange: who tells it heard the last intent at this time. Of two that heard the same, who saw it leave knows more than who saw it fail. */
  hasLeft(name: string, time: number, meansToGo: boolean): IntentOutcome {
    const known = this.#known.get(name);
    if (known?.standing !== 'failed' || known.time !== time)
      return this.leaves({ name, time, prune: false }, meansToGo);
    known.standing = 'left';
    return 'left';
  }

  joins({ name, time }: JoinIntent): IntentOutcome {
    const known = this.#known.get(name);
    if (!known) return this.#wait(name, time, false);
    if (time <= known.time) return 'old';
    known.time = time;
    if (known.standing === 'leaving') known.standing = 'alive';
    return 'news';
  }

  #forget(name: string): void {
    this.#known.delete(name);
    this.#pruned.add(name);
  }

  #wait(name: string, time: number, leaves: boolean): IntentOutcome {
    const waiting = this.#waiting.get(name);
    if (waiting && waiting.time >= time) return 'old';
    this.#waiting.delete(name);
    this.#waiting.set(name, { time, leaves });
    const [oldest] = this.#waiting.keys();
    if (this.#waiting.size > MOST_WAITING && oldest !== undefined) this.#waiting.delete(oldest);
    return 'news';
  }
}
