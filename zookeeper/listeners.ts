/** Who wants to hear of something. A listener that throws is a bug: it is reported as uncaught, and the others still hear. */
export class Listeners<A extends readonly unknown[]> {
  readonly #listeners = new Set<(...event: A) => void>();

  /** Returns what ends the subscription. */
  add(listener: (...event: A) => void): () => void {
    // A wrapper of its own for each subscription, so that the same function may subscribe twice.
    const own = (...event: A): void => {
      listener(...event);
    };
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
    };
  }

  notify(...event: A): void {
    for (const listener of [...this.#listeners]) {
      try {
        listener(...event);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  clear(): void {
    this.#listeners.clear();
  }
}
