import { setMaxListeners } from 'node:events';

import { cancelled } from './errors.js';

/**
 * A signal that follows others for as long as a piece of work goes on; `end` it with the work. What `AbortSignal.any` does, without leaving
 * 2.7 KB behind at every long-lived source as it does in Node.js 20.
 */
export class AbortScope {
  readonly #controller = new AbortController();
  readonly #sources: readonly AbortSignal[];

  constructor(...sources: readonly AbortSignal[]) {
    this.#sources = sources;
    for (const source of sources) {
      // A long-lived source is followed by as much work as there is.
      setMaxListeners(0, source);
      if (source.aborted) this.abort(source.reason);
      else source.addEventListener('abort', this.#follow);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Only the first reason counts. */
  abort(reason: unknown): void {
    this.#controller.abort(reason instanceof Error ? reason : cancelled());
  }

  /** Stops following; idempotent. */
  end(): void {
    for (const source of this.#sources) source.removeEventListener('abort', this.#follow);
  }

  readonly #follow = (event: Event): void => {
    this.abort((event.target as AbortSignal).reason);
  };
}
