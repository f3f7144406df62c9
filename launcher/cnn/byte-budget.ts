/** Bytes that may be held at a time, given in the order of asking; what is larger than the whole budget gets all of it. */
export class ByteBudget {
  readonly #bytes: number;
  readonly #waiting: { readonly bytes: number; readonly grant: () => void }[] = [];
  #free: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#free = bytes;
  }

  /** Runs `work` as soon as `bytes` are free. */
  async hold<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const held = Math.min(bytes, this.#bytes);
    await this.#taken(held);
    try {
      return await work();
    } finally {
      this.#free += held;
      this.#grantNext();
    }
  }

  async #taken(bytes: number): Promise<void> {
    if (this.#waiting.length > 0 || bytes > this.#free)
      await new Promise<void>((grant) => this.#waiting.push({ bytes, grant }));
    else this.#free -= bytes;
  }

  #grantNext(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (!next || next.bytes > this.#free) return;
      this.#waiting.shift();
      this.#free -= next.bytes;
      next.grant();
    }
  }
}
