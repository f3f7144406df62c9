import { setImmediate as nextTurn } from 'node:timers/promises';

/** How long work may hold the event loop in one of its turns, ms: pings have to be answered in between. */
const SLICE_MS = 1;

/** Says when long pieces of work should let others go first. All that share it have one slice in each turn together, and take turns in it. */
export class Slices {
  #startedMs = -Infinity;
  #turn: Promise<void> | undefined;

  /** Takes all steps of a piece of work, and returns what comes of it. */
  async run<T>(steps: Generator<undefined, T>): Promise<T> {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      if (this.#isOver) await this.breathe();
    }
  }

  get #isOver(): boolean {
    return performance.now() - this.#startedMs >= SLICE_MS;
  }

  /** To be awaited between small steps; takes time only when the slice of this turn is over. */
  async breathe(): Promise<void> {
    while (this.#isOver) {
      this.#turn ??= nextTurn().then(() => {
        this.#turn = undefined;
        this.#startedMs = performance.now();
      });
      await this.#turn;
    }
  }
}
