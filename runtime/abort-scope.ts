import { setMaxListeners } from 'node:events';

import { cancelled } from './errors.js';

/**
 * A signal that follows others for as long as a piece of work goes on; `end` it with the work. What `AbortSignal.any` does, without leaving
 * 2.7 KB behind at every long-lived source as it does in Node.js 20.
 */
export class AbortScope {
  static readonly #deadlines = new WeakMap<AbortSignal, number>();
  readonly #controller = new AbortController();
  readonly #sources: readonly AbortSignal[];

  constructor(...sources: readonly AbortSignal[]) {
    this.#sources = sources;
    for (const source of sources) {
      // A long-lived source is followed by as much work as there is.
      setMaxListeners(0, source);
      this.endsBy(AbortScope.deadlineOf(source));
      if (source.aborted) this.abort(source.reason);
      else source.addEventListener('abort', this.#follow);
    }
  }

  /** When a signal, made by a scope or one that it follows, aborts at the latest; ms since 1970, Infinity where nobody has said. */
  static deadlineOf(signal: AbortSignal): number {
    return AbortScope.#deadlines.get(signal) ?? Infinity;
  }

  /** Says when the scope will be aborted at the latest, ms since 1970; whoever gets its signal can tell those whom it calls. Aborting it is up to the caller. */
  endsBy(atMs: number): void {
    const { signal } = this;
    const before = AbortScope.deadlineOf(signal);
    if (atMs < before) AbortScope.#deadlines.set(signal, atMs);
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
