import type { Clock } from '../../runtime/clock.js';
import type { Endpoint } from '../core/member.js';
import type { MemberChange } from '../core/membership.js';
import type { Profile } from '../core/profile.js';

export interface ReconnectionParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly profile: Profile;
  /** Members that are here, as seen here. */
  here(): number;
  /** Exchanges all that is known with one that failed; `done` where that worked. */
  readonly exchange: (withWhom: Endpoint, done: () => void) => void;
}

/** As many as a data center has members; the one that failed first leaves. */
const MOST_FAILED = 4096;
/** Serf's `reconnect_timeout`. */
const KEPT_MS = 24 * 3_600_000;
/** From so many on that come back it is a network that was mended. */
const MANY = 4;
/** One may be dead indeed, or not know all itself. */
const TRIES = 3;

interface Failed {
  readonly endpoint: Endpoint;
  readonly sinceMs: number;
}

/**
 * Members that failed are tried again, as agents of Serf do: a network that was cut in two is brought together without an operator, long after gossip has forgotten the other
 * side. Each member tries one of them per interval of exchanges, the less likely the fewer failed, so that all together make about as many attempts as members have failed.
 */
export class Reconnection {
  readonly #parts: ReconnectionParts;
  readonly #failed = new Map<string, Failed>();
  #cancel: (() => void) | undefined;
  #cancelSoon: (() => void) | undefined;
  /** Since they were counted last. */
  #returned = 0;
  #stopped = false;

  constructor(parts: ReconnectionParts) {
    this.#parts = parts;
  }

  changed({ kind, member }: MemberChange): void {
    if (kind === 'fail') this.#add(member.name, member);
    else if (kind === 'leave') this.#failed.delete(member.name);
    else if (kind === 'join' && this.#failed.delete(member.name)) this.#cameBack();
  }

  /** An operator had it removed. */
  forget(name: string): void {
    this.#failed.delete(name);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel?.();
    this.#cancelSoon?.();
  }

  #add(name: string, { address, port }: Endpoint): void {
    if (this.#failed.size >= MOST_FAILED)
      for (const first of this.#failed.keys()) {
        this.#failed.delete(first);
        break;
      }
    const sinceMs = this.#parts.clock.monotonicMs();
    this.#failed.set(name, { endpoint: { address, port }, sinceMs });
    // Members that see the same failure don't try at the same time.
    if (!this.#cancel) this.#tryIn(this.#everyMs * this.#parts.random());
  }

  get #everyMs(): number {
    return this.#parts.profile.pushPullIntervalMs;
  }

  /** There is no attempt while nobody has failed. */
  #tryIn(delayMs: number): void {
    if (this.#stopped || this.#everyMs === 0) return;
    this.#cancel = this.#parts.clock.schedule(delayMs, () => {
      this.#cancel = undefined;
      this.#tryOne();
      if (this.#failed.size > 0) this.#tryIn(this.#everyMs);
    });
  }

  /**
   * Rumours of a whole side that is back are told to those of that side, too, who know it: some hear of most, not of all. Who still misses some of them asks one; where less than
   * most came back the others are dead indeed.
   */
  #cameBack(): void {
    this.#returned++;
    if (!this.#cancelSoon) this.#askSoon(TRIES);
  }

  #askSoon(tries: number): void {
    if (this.#stopped) return;
    const { clock, random, profile } = this.#parts;
    const afterMs = ROUNDS * profile.gossipIntervalMs * (1 + random());
    this.#cancelSoon = clock.schedule(afterMs, () => {
      this.#cancelSoon = undefined;
      const { size } = this.#failed;
      const isMended = size > 0 && this.#returned >= MANY && this.#returned > size;
      if (isMended && tries > 0) {
        this.#tryAny();
        this.#askSoon(tries - 1);
      } else this.#returned = 0;
    });
  }

  #tryOne(): void {
    const { random, clock } = this.#parts;
    for (const [name, { sinceMs }] of this.#failed)
      if (clock.monotonicMs() - sinceMs > KEPT_MS) this.#failed.delete(name);
    if (random() < this.#failed.size / Math.max(1, this.#parts.here())) this.#tryAny();
  }

  #tryAny(): void {
    const at = Math.floor(this.#parts.random() * this.#failed.size);
    const [name, failed] = [...this.#failed][at] ?? [];
    if (name !== undefined && failed) this.#exchange(name, failed);
  }

  /**
   * The first exchange tells each side only that it is taken for dead; what its members say to that comes across with the next one: so there is another soon, after rumours have
   * gone round.
   */
  #exchange(name: string, failed: Failed): void {
    const { clock, profile } = this.#parts;
    this.#parts.exchange(failed.endpoint, () => {
      clock.schedule(ROUNDS * profile.gossipIntervalMs, () => {
        if (!this.#stopped && this.#failed.get(name) === failed)
          this.#parts.exchange(failed.endpoint, () => undefined);
      });
    });
  }
}

/** Of gossip, until everybody on a side has heard of it and has answered: 2 s on a LAN. */
const ROUNDS = 10;
