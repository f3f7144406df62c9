import { cancelled } from '../runtime/errors.js';

export type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP';

/**
 * Signals that ask this process to end. Where a command said that it handles them, the first one aborts `signal`, so that everything
 * stops in order, and a second Ctrl-C ends at once, after what `onForce` was given. Elsewhere the first one ends at once.
 */
export class Interruption {
  readonly #controller = new AbortController();
  readonly #forced = new Set<() => void>();
  #by: StopSignal | undefined;
  #handled = false;

  /** Starts to listen to the signals of this process. */
  listen(): void {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
      process.on(name, () => {
        this.ask(name);
      });
  }

  /** From now on there is something to stop in order. */
  handle(): void {
    this.#handled = true;
  }

  ask(by: StopSignal): void {
    if (!this.#handled) process.exit(by === 'SIGINT' ? 130 : 143);
    if (this.#by === undefined) {
      this.#by = by;
      this.#controller.abort(cancelled(`stopped by ${by}`));
      return;
    }
    if (by !== 'SIGINT') return;
    for (const force of this.#forced) force();
    process.exit(130);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Which signal it was. */
  get by(): StopSignal | undefined {
    return this.#by;
  }

  /** Runs `force` at a second Ctrl-C; returns what takes it back. It must not wait for anything. */
  onForce(force: () => void): () => void {
    this.#forced.add(force);
    return () => this.#forced.delete(force);
  }

  /** Resolves when somebody asked to stop. */
  asked(): Promise<void> {
    const { signal } = this.#controller;
    return new Promise((resolve) => {
      if (signal.aborted) resolve();
      else
        signal.addEventListener(
          'abort',
          () => {
            resolve();
          },
          { once: true },
        );
    });
  }
}
