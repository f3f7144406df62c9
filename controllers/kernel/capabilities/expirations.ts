import type { Clock } from '../../../runtime/clock.js';

/** Expiries within the same second share a timer. */
const SLOT_MS = 1000;
/** The longest that a timer can wait, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Slot {
  readonly ids: Set<bigint>;
  cancel: () => void;
}

/** Tells when things have expired: never before, about a second after at most. Holds timers only while it holds something. */
export class Expirations {
  readonly #clock: Clock;
  readonly #expired: (ids: ReadonlySet<bigint>) => void;
  readonly #slots = new Map<number, Slot>();

  constructor(clock: Clock, expired: (ids: ReadonlySet<bigint>) => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  add(id: bigint, expiresAtMs: number): void {
    const at = slotOf(expiresAtMs);
    const known = this.#slots.get(at);
    if (known) {
      known.ids.add(id);
      return;
    }
    const slot: Slot = { ids: new Set([id]), cancel: () => undefined };
    this.#slots.set(at, slot);
    this.#schedule(at, slot);
  }

  /** What has expired already is no error. */
  remove(id: bigint, expiresAtMs: number): void {
    const at = slotOf(expiresAtMs);
    const slot = this.#slots.get(at);
    if (!slot?.ids.delete(id) || slot.ids.size > 0) return;
    slot.cancel();
    this.#slots.delete(at);
  }

  clear(): void {
    for (const slot of this.#slots.values()) slot.cancel();
    this.#slots.clear();
  }

  #schedule(at: number, slot: Slot): void {
    const leftMs = at * SLOT_MS - this.#clock.now();
    slot.cancel = this.#clock.schedule(Math.min(Math.max(leftMs, 0), MAX_TIMER_MS), () => {
      // The wall clock may have been set back, and timers can't wait for weeks.
      if (this.#clock.now() < at * SLOT_MS) {
        this.#schedule(at, slot);
        return;
      }
      this.#slots.delete(at);
      this.#expired(slot.ids);
    });
  }
}

const slotOf = (expiresAtMs: number): number => Math.ceil(expiresAtMs / SLOT_MS);
