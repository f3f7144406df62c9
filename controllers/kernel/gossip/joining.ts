import { backoffMs } from '../../../runtime/backoff.js';
import type { Clock } from '../../../runtime/clock.js';
import { messageOf } from '../../../runtime/errors.js';

export interface JoiningParts {
  /** ADDRESS:PORT of those that should be there: members that the coordinator lists, without this one. */
  readonly listed: () => readonly string[];
  /** ADDRESS:PORT of the ini file. */
  readonly configured: readonly string[];
  /** ADDRESS:PORT of those that gossip holds alive, or gone for good, without this one. */
  readonly settled: () => ReadonlySet<string>;
  /** Whether gossip knows of nobody else that lives. */
  readonly isAlone: () => boolean;
  /** Exchanges everything with one; rejects where it can't. */
  readonly join: (address: string) => Promise<void>;
  /** Nobody was reached for so long, ms. Told once, until somebody is. */
  readonly onAlone: (forMs: number, why: string) => void;
  readonly clock: Clock;
  readonly random: () => number;
}

/** Between two looks, ms. */
const LOOK_MS = 500;
/** Tried at the same time: one suffices, the others hear of it. */
const AT_ONCE = 3;
/** Who isn't known yet may be joining by itself, ms. */
const PATIENCE_MS = 2000;
const BACKOFF = { initialMs: 500, maxMs: 15_000 };
/** Alone for so long is told, ms. */
const TELL_MS = 10_000;

interface Missing {
  readonly sinceMs: number;
  /** When it is tried again; Infinity while it is tried. */
  nextMs: number;
  tries: number;
}

/**
 * Brings this node into the gossip of its data center, and back: while it is alone it tries those that the coordinator lists and those of the ini file, a few at a time; later whoever
 * is listed and isn't heard of, so that the two sides of a cut find each other when it is mended. Each address with a growing pause.
 */
export class Joining {
  readonly #parts: JoiningParts;
  readonly #missing = new Map<string, Missing>();
  #cancel: () => void = () => undefined;
  #closed = false;
  #aloneSinceMs: number | undefined;
  #hasTold = false;
  #why = '';

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  /** Looks who is missing, now: there may be news. The first call begins. */
  look(): void {
    if (this.#closed) return;
    this.#cancel();
    const { clock, random } = this.#parts;
    for (const address of this.#due()) void this.#try(address);
    this.#tellAlone();
    this.#cancel = clock.schedule(LOOK_MS * (0.8 + 0.4 * random()), () => {
      this.look();
    });
  }

  #due(): string[] {
    const { clock, random, isAlone } = this.#parts;
    const nowMs = clock.monotonicMs();
    const alone = isAlone();
    this.#note(nowMs, alone);
    const due = [...this.#missing].filter(
      ([, { nextMs, sinceMs }]) => nextMs <= nowMs && (alone || nowMs - sinceMs >= PATIENCE_MS),
    );
    while (due.length > AT_ONCE) due.splice(Math.floor(random() * due.length), 1);
    return due.map(([address]) => address);
  }

  #note(nowMs: number, alone: boolean): void {
    const { listed, configured, settled } = this.#parts;
    const known = settled();
    const wanted = new Set([...listed(), ...(alone ? configured : [])]);
    for (const address of known) wanted.delete(address);
    for (const address of [...this.#missing.keys()])
      if (!wanted.has(address)) this.#missing.delete(address);
    for (const address of wanted)
      if (!this.#missing.has(address))
        this.#missing.set(address, { sinceMs: nowMs, nextMs: nowMs, tries: 0 });
  }

  async #try(address: string): Promise<void> {
    const { clock, random, join } = this.#parts;
    const missing = this.#missing.get(address);
    if (!missing) return;
    missing.tries++;
    missing.nextMs = Infinity;
    try {
      await join(address);
    } catch (error) {
      this.#why = messageOf(error);
    } finally {
      missing.nextMs = clock.monotonicMs() + backoffMs(missing.tries, BACKOFF, random);
    }
  }

  #tellAlone(): void {
    const { clock, onAlone, isAlone } = this.#parts;
    if (!isAlone() || this.#missing.size === 0) {
      this.#aloneSinceMs = undefined;
      this.#hasTold = false;
      return;
    }
    const nowMs = clock.monotonicMs();
    this.#aloneSinceMs ??= nowMs;
    if (this.#hasTold || nowMs - this.#aloneSinceMs < TELL_MS) return;
    this.#hasTold = true;
    onAlone(nowMs - this.#aloneSinceMs, this.#why);
  }
}
