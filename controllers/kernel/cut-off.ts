import type { Clock } from '../../runtime/clock.js';
import type { Reachability } from '../../runtime/reachability.js';
import type { Member } from '../../zookeeper/coordinator.js';

export interface CutOffParts {
  /** The members that count: all but this one. */
  readonly others: () => readonly Member[];
  /** Whether it matters: this member leads, and there is another that could. */
  readonly matters: () => boolean;
  readonly reach: (address: string) => Promise<Reachability>;
  readonly onCutOff: () => void;
  /** Of the members with the coordinator as it grants it, ms. */
  readonly sessionTimeoutMs: () => number;
  readonly clock: Clock;
}

/** Between two looks at one of the others, ms. */
const LOOK_MS = 500;
/** Between two rounds of probes, ms. */
const ROUND_MS = 500;
/** Members asked in one round. */
const MAX_PROBED = 8;
/** A round that takes longer says nothing of others: this node was busy or frozen, and its timers end before it reads what they answered, ms. */
const STALL_MS = 1000;
/**
 * Cut off for so long is cut off, in session timeouts. If those that are silent were the dead ones, the coordinator would have taken them out by then (0.7 to 1.1): who
 * stepped back sooner would leave the lead to one of them.
 */
const PATIENCE_SESSIONS = 1.15;
/** Who has just stepped back doesn't again: in a network in which nobody reaches anybody leadership would go round and round, ms. */
const REST_MS = 10_000;

/** Whether most of those that were asked are out of reach. Who refuses is within: its machine answered. */
export function isMostSilent(found: readonly Reachability[]): boolean {
  return found.filter((one) => one === 'silent').length * 2 > found.length;
}

/**
 * Notices that a leader reaches most of the others no more, although the coordinator reaches it: nobody could use it, and nobody would replace it.
 * A leader looks at one of the others twice a second, by a bare connection, which a machine accepts however busy its node is: a link takes seconds to break by silence.
 * Who doesn't answer is a reason to `suspect`, which asks several.
 */
export class CutOff {
  readonly #parts: CutOffParts;
  #probing = false;
  #restsUntilMs = 0;
  #closed = false;
  #looks = 0;
  #cancelLook: () => void = () => undefined;

  constructor(parts: CutOffParts) {
    this.#parts = parts;
  }

  /** From now on one of the others is looked at all the time, while it matters. */
  watch(): void {
    if (this.#closed) return;
    this.#cancelLook = this.#parts.clock.schedule(LOOK_MS, () => {
      void this.#look().then(() => {
        this.watch();
      });
    });
  }

  /** Somebody can't be reached: finds out whether it is them or us. */
  suspect(): void {
    if (this.#probing || this.#closed) return;
    if (this.#parts.clock.monotonicMs() < this.#restsUntilMs) return;
    this.#probing = true;
    void this.#probe(undefined);
  }

  close(): void {
    this.#closed = true;
    this.#cancelLook();
  }

  async #look(): Promise<void> {
    if (this.#probing || !this.#parts.matters()) return;
    const others = this.#parts.others();
    const one = others[this.#looks++ % Math.max(1, others.length)];
    if (one && (await this.#parts.reach(one.address)) === 'silent') this.suspect();
  }

  async #probe(silentSinceMs: number | undefined): Promise<void> {
    const { clock, sessionTimeoutMs } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#closed || !this.#parts.matters() || !(await this.#isCutOff())) {
      this.#probing = false;
      return;
    }
    const hasStalled = clock.monotonicMs() - nowMs > STALL_MS;
    const sinceMs = hasStalled ? clock.monotonicMs() : (silentSinceMs ?? nowMs);
    if (clock.monotonicMs() - sinceMs >= PATIENCE_SESSIONS * sessionTimeoutMs()) {
      this.#probing = false;
      this.#restsUntilMs = clock.monotonicMs() + REST_MS;
      this.#parts.onCutOff();
      return;
    }
    clock.schedule(Math.max(0, nowMs + ROUND_MS - clock.monotonicMs()), () => {
      void this.#probe(sinceMs);
    });
  }

  async #isCutOff(): Promise<boolean> {
    const others = this.#parts.others();
    // Not always the same eight: from a start that moves with the time.
    const start = Math.floor(this.#parts.clock.monotonicMs()) % Math.max(1, others.length);
    const asked = [...others.slice(start), ...others.slice(0, start)].slice(0, MAX_PROBED);
    const found = await Promise.all(asked.map(({ address }) => this.#parts.reach(address)));
    return isMostSilent(found);
  }
}
