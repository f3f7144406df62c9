/** Wakes who waits for something whenever something happens. */
export class Changes {
  #happens: () => void = () => undefined;
  #next = this.#another();

  /** Something happened. */
  readonly happened = (): void => {
    const happens = this.#happens;
    this.#next = this.#another();
    happens();
  };

  /** Looks whether it is so, now and after everything that happens. */
  async until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    for (;;) {
      // What happens while it looks counts.
      const next = this.#next;
      if (await isSo()) return;
      await next;
    }
  }

  #another(): Promise<void> {
    return new Promise((resolve) => {
      this.#happens = resolve;
    });
  }
}
