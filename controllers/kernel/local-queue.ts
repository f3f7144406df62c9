/** Steps that one member does in a row before it looks at its other work: about a millisecond of small ones. */
const MAX_IN_A_ROW = 64;

/** Steps on the same member follow each other through a queue, not through recursion, and leave room for others. */
export class LocalQueue {
  readonly #tasks: (() => void)[] = [];
  #draining = false;

  /** Runs `task` now, or after those before it. A task must not throw. */
  push(task: () => void): void {
    this.#tasks.push(task);
    if (!this.#draining) this.#drain();
  }

  #drain(): void {
    this.#draining = true;
    let done = 0;
    for (let task = this.#tasks.shift(); task; task = this.#tasks.shift()) {
      task();
      if (++done < MAX_IN_A_ROW) continue;
      setImmediate(() => {
        this.#drain();
      });
      return;
    }
    this.#draining = false;
  }
}
