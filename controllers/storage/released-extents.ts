import { backoffMs } from '../../runtime/backoff.js';
import type { Clock } from '../../runtime/clock.js';
import { messageOf } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { Placement } from '../../services/storage/depot.js';

export interface ReleasedExtentsOptions {
  readonly free: (placement: Placement, signal: AbortSignal) => Promise<void>;
  /** Until when somebody may read it, ms since 1970. */
  readonly usedUntilMs: (placement: Placement) => number;
  /** How long it is kept for readers at most, ms. */
  readonly lingerMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly stopping: AbortSignal;
}

interface Released {
  readonly placement: Placement;
  readonly atMs: number;
  attempts: number;
  cancel: () => void;
}

const FREE_TIMEOUT_MS = 10_000;
const BACKOFF = { initialMs: 1000, maxMs: 60_000 };

/** Content that no file has any more: freed when its readers are done, or have had their time. */
export class ReleasedExtents {
  readonly #options: ReleasedExtentsOptions;
  readonly #released = new Map<string, Released>();
  readonly #freeing = new Set<Promise<void>>();

  constructor(options: ReleasedExtentsOptions) {
    this.#options = options;
  }

  add(placement: Placement): void {
    const key = placement.extents.join();
    if (this.#options.stopping.aborted || this.#released.has(key)) return;
    const atMs = this.#options.clock.now();
    this.#released.set(key, { placement, atMs, attempts: 0, cancel: () => undefined });
    this.#plan(key);
  }

  /** A reader at this node has ended: perhaps it was the last. */
  readerEnded(placement: Placement): void {
    const key = placement.extents.join();
    if (this.#released.get(key)?.attempts === 0) this.#plan(key);
  }

  /** Frees at once; what fails is tried again later. Never rejects. */
  async freeNow(placement: Placement): Promise<void> {
    if (placement.extents.length === 0) return;
    const key = placement.extents.join();
    const atMs = this.#options.clock.now();
    const known = this.#released.get(key);
    known?.cancel();
    this.#released.set(key, known ?? { placement, atMs, attempts: 0, cancel: () => undefined });
    await this.#free(key);
  }

  /** Frees all that only lingers; false if there was nothing. Never rejects. */
  async freeAll(): Promise<boolean> {
    const lingering = [...this.#released.values()];
    await Promise.all(lingering.map(({ placement }) => this.freeNow(placement)));
    return lingering.length > 0;
  }

  async close(): Promise<void> {
    for (const { cancel } of this.#released.values()) cancel();
    this.#released.clear();
    await Promise.all(this.#freeing);
  }

  #plan(key: string): void {
    const released = this.#released.get(key);
    if (!released) return;
    const { clock, lingerMs, usedUntilMs } = this.#options;
    const dueMs = Math.min(usedUntilMs(released.placement), released.atMs + lingerMs);
    released.cancel();
    const waitMs = dueMs - clock.now();
    if (waitMs > 0)
      released.cancel = clock.schedule(waitMs, () => {
        void this.#free(key);
      });
    else void this.#free(key);
  }

  #free(key: string): Promise<void> {
    const work = this.#tryFree(key).finally(() => this.#freeing.delete(work));
    this.#freeing.add(work);
    return work;
  }

  async #tryFree(key: string): Promise<void> {
    const released = this.#released.get(key);
    if (!released) return;
    const { free, clock, log, stopping } = this.#options;
    const { placement } = released;
    try {
      const signal = AbortSignal.timeout(FREE_TIMEOUT_MS);
      await free(placement, signal);
      this.#released.delete(key);
    } catch (error) {
      if (stopping.aborted) return;
      released.attempts++;
      const facts = { device: placement.device, extents: placement.extents.length };
      log.warn({ ...facts, error: messageOf(error) }, 'extents could not be freed; trying again');
      released.cancel = clock.schedule(backoffMs(released.attempts, BACKOFF), () => {
        void this.#free(key);
      });
    }
  }
}
