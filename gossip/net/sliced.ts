/**
 * How long work may hold the event loop in one of its turns, ms: pings have to be answered in between. A turn that collects garbage takes some milliseconds more, so this is a small
 * part of what a turn may last.
 */
const SLICE_MS = 0.5;

/** Says when long pieces of work should let others go first. All that share it have one slice in each turn together, and take turns in it. */
export class Slices {
  #startedMs = -Infinity;
  /** Works that wait for a turn, the first one first. */
  readonly #waiting: (() => void)[] = [];
  #isTurnDue = false;

  /** Takes all steps of a piece of work, and returns what comes of it. */
  async run<T>(steps: Generator<undefined, T>): Promise<T> {
    for (;;) {
      if (this.isOver) await this.breathe();
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  /** Whether others go first: to be asked before each small step, as to await costs more, and makes more garbage, than most of them. */
  get isOver(): boolean {
    return performance.now() - this.#startedMs >= SLICE_MS;
  }

  /** To be awaited when the slice is over: until one has begun in another turn, for this work alone. */
  breathe(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#turnSoon();
    });
  }

  #turnSoon(): void {
    if (this.#isTurnDue || this.#waiting.length === 0) return;
    this.#isTurnDue = true;
    setImmediate(() => {
      this.#isTurnDue = false;
      this.#startedMs = performance.now();
      this.#waiting.shift()?.();
      this.#turnSoon();
    });
  }
}
