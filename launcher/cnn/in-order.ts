export interface InOrderOptions {
  /** Most pieces of work under way at a time. */
  readonly concurrency: number;
  /** Most items between the one whose result is awaited and the last that was begun; results behind the first wait in memory. */
  readonly ahead: number;
  /** At its abort nothing more is begun or awaited; what is known by then is still yielded. */
  readonly signal: AbortSignal;
}

/** What `work` made of the items, in the order of the items. What `source` throws is thrown behind the results of all items before. */
export async function* inOrder<T, R>(
  source: AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  options: InOrderOptions,
): AsyncGenerator<R, void, undefined> {
  const run = new Run(source, work, options);
  try {
    for (;;) {
      const first = run.shift();
      if (first) yield first.result;
      else if (options.signal.aborted) break;
      else if (run.isOver()) return;
      else await run.changed();
    }
    yield* run.known();
  } finally {
    run.stop();
  }
}

/** A place in the order; `settled` once the result is there. */
interface Place<R> {
  settled: { readonly result: R } | undefined;
}

class Run<T, R> {
  readonly #items: AsyncIterator<T>;
  readonly #work: (item: T) => Promise<R>;
  readonly #options: InOrderOptions;
  readonly #places: Place<R>[] = [];
  #underWay = 0;
  #state: 'idle' | 'reading' | 'ended' = 'idle';
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(source: AsyncIterable<T>, work: (item: T) => Promise<R>, options: InOrderOptions) {
    this.#items = source[Symbol.asyncIterator]();
    this.#work = work;
    this.#options = options;
    options.signal.addEventListener('abort', this.#onAbort, { once: true });
    this.#advance();
  }

  /** Takes the first result if it is there. */
  shift(): { readonly result: R } | undefined {
    const settled = this.#places[0]?.settled;
    if (settled) {
      this.#places.shift();
      this.#advance();
    }
    return settled;
  }

  /** Whether nothing more comes; throws what the work or the source failed with. */
  isOver(): boolean {
    if (this.#state !== 'ended' || this.#places.length > 0) return false;
    if (this.#failure) throw this.#failure.error;
    return true;
  }

  /** Results behind one that never comes. */
  known(): R[] {
    return this.#places.flatMap(({ settled }) => (settled ? [settled.result] : []));
  }

  changed(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  stop(): void {
    this.#state = 'ended';
    this.#options.signal.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => {
    this.#state = 'ended';
    this.#wake();
  };

  /** Reads one item at a time, as long as there is room for its work and its result. */
  #advance(): void {
    const { concurrency, ahead } = this.#options;
    if (this.#state !== 'idle') return;
    if (this.#underWay >= concurrency || this.#places.length >= ahead) return;
    this.#state = 'reading';
    this.#items.next().then(
      ({ done, value }) => {
        if (this.#state !== 'reading') return;
        this.#state = done ? 'ended' : 'idle';
        if (!done) this.#begin(value);
        this.#advance();
        this.#wake();
      },
      (error: unknown) => {
        this.#fail(error);
      },
    );
  }

  #begin(item: T): void {
    const place: Place<R> = { settled: undefined };
    this.#places.push(place);
    this.#underWay++;
    this.#work(item).then(
      (result) => {
        place.settled = { result };
        this.#underWay--;
        this.#advance();
        this.#wake();
      },
      (error: unknown) => {
        this.#places.splice(this.#places.indexOf(place), 1);
        this.#underWay--;
        this.#fail(error);
      },
    );
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#state = 'ended';
    this.#wake();
  }
}
