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
  readonly clock: Clock;
}

/** Between two rounds of probes, ms. */
const ROUND_MS = 500;
/** Members asked in one round. */
const MAX_PROBED = 8;
/** A round that takes longer says nothing of others: this node was busy or frozen, and its timers end before it reads what they answered, ms. */
const STALL_MS = 1000;
/** Cut off for so long is cut off, ms. */
const PATIENCE_MS = 1500;
/** Who has just stepped back doesn't again: in a network in which nobody reaches anybody leadership would go round and round, ms. */
const REST_MS = 10_000;

/** Whether most of those that were asked are out of reach. Who refuses is within: its machine answered. */
export function isMostSilent(found: readonly Reachability[]): boolean {
  return found.filter((one) => one === 'silent').length * 2 > found.length;
}

/**
 * Notices that a leader reaches most of the others no more, although the coordinator reaches it: nobody could use it, and nobody would replace it.
 * Costs nothing while all links are whole: `suspect` begins the probing.
 */
export class CutOff {
  readonly #parts: CutOffParts;
  #probing = false;
  #restsUntilMs = 0;
  #closed = false;

  constructor(parts: CutOffParts) {
    this.#parts = parts;
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
  }

  async #probe(silentSinceMs: number | undefined): Promise<void> {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    if (this.#closed || !this.#parts.matters() || !(await this.#isCutOff())) {
      this.#probing = false;
      return;
    }
    const hasStalled = clock.monotonicMs() - nowMs > STALL_MS;
    const sinceMs = hasStalled ? clock.monotonicMs() : (silentSinceMs ?? nowMs);
    if (clock.monotonicMs() - sinceMs >= PATIENCE_MS) {
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
