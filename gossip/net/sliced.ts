import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long work may hold the event loop, ms: pings have to be answered in between. */
const SLICE_MS = 2;

/** Says when a long piece of work should let others go first. */
export class Slices {
  #startedMs = performance.now();

  /** To be awaited between small steps; takes time only when a slice is over. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#startedMs < SLICE_MS) return;
    await nextTurn();
    this.#startedMs = performance.now();
  }

  get isOver(): boolean {
    return performance.now() - this.#startedMs >= SLICE_MS;
  }
}
