import type { Logger } from '../../runtime/logger.js';
import { countToRemove } from '../../services/application/journal/retention.js';
import type { EndedFile, RetentionLimits } from '../../services/application/journal/retention.js';
import type { Journal } from './journal.js';

/** How long the end of a run is kept at least, ms: whoever lost its stream comes back within its budget. */
export const LEAST_KEPT_MS = 60_000;
/** Between two looks at what is too old, ms. */
const LOOK_MS = 10_000;
/** Ended runs beyond the limit that may wait for their removal, as a multiple of it; then no more durable runs are accepted. */
const MOST_WAITING = 16;

export interface EndedRunsOptions {
  readonly journal: Pick<Journal, 'remove'>;
  readonly limits: RetentionLimits;
  readonly log: Logger;
}

/** Removes records of runs that ended long ago. Works only while its node leads: whoever leads next lists them anew. */
export class EndedRuns {
  readonly #options: EndedRunsOptions;
  readonly #stopping = new AbortController();
  #ended: EndedFile[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isRemoving = false;

  constructor(options: EndedRunsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#ended.length;
  }

  /** Whether no more can be written down until some are removed. */
  get isFull(): boolean {
    return this.#ended.length >= this.#options.limits.most * MOST_WAITING;
  }

  /** What storage holds, in any order. */
  begin(ended: readonly EndedFile[]): void {
    const known = new Set(ended.map(({ run }) => run));
    const others = this.#ended.filter(({ run }) => !known.has(run));
    this.#ended = [...ended, ...others].sort((one, other) => one.atMs - other.atMs);
    this.#look();
  }

  add(run: string, version: bigint): void {
    this.#ended.push({ run, version, atMs: Date.now() });
    this.#look();
  }

  /** Another node leads. */
  clear(): void {
    this.#ended = [];
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  stop(): void {
    this.clear();
    this.#stopping.abort();
  }

  #look(): void {
    if (this.#isRemoving || this.#stopping.signal.aborted) return;
    const count = countToRemove(this.#ended, Date.now(), this.#options.limits);
    if (count > 0) void this.#remove(this.#ended.slice(0, count));
    else if (this.#ended.length > 0) this.#wait();
  }

  #wait(): void {
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#look();
    }, LOOK_MS);
    this.#timer.unref();
  }

  /** One after the other: runs that begin have priority. Never rejects. */
  async #remove(some: readonly EndedFile[]): Promise<void> {
    this.#isRemoving = true;
    try {
      for (const file of some) {
        // Somebody else leads, or what storage holds was listed anew.
        if (this.#ended[0] !== file) break;
        await this.#options.journal.remove(file, this.#stopping.signal);
        if (this.#ended[0] === file) this.#ended.shift();
      }
      this.#isRemoving = false;
      this.#look();
    } catch (error) {
      this.#isRemoving = false;
      this.#options.log.debug({ err: error }, 'ended runs are removed later');
      if (!this.#stopping.signal.aborted) this.#wait();
    }
  }
}
