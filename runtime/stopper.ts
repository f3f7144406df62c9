import { messageOf } from './errors.js';

/** Undoes things in the reverse order in which they were done; every undo runs, even if another throws. */
export class Stopper {
  readonly #undo: (() => Promise<void> | void)[] = [];
  #stopped: Promise<void> | undefined;

  /** Registers what undoes the step just done. After `stop` it is undone at once. */
  add(undo: () => Promise<void> | void): void {
    // Nobody is left who could be told.
    if (this.#stopped)
      void Promise.resolve()
        .then(undo)
        .catch(() => undefined);
    else this.#undo.push(undo);
  }

  /** Registers a resource with an asynchronous disposer and returns it. */
  use<T extends { [Symbol.asyncDispose](): Promise<void> }>(resource: T): T {
    this.add(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  /** Idempotent: every caller gets the same promise. Rejects with what went wrong, after all is done. */
  stop(): Promise<void> {
    this.#stopped ??= this.#run();
    return this.#stopped;
  }

  async #run(): Promise<void> {
    const errors: unknown[] = [];
    for (let undo = this.#undo.pop(); undo; undo = this.#undo.pop()) {
      try {
        await undo();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0)
      throw new AggregateError(errors, `stopping failed: ${errors.map(messageOf).join('; ')}`);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
