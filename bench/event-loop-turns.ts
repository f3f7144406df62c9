import { openSync, readSync } from 'node:fs';
import { PerformanceObserver } from 'node:perf_hooks';

/** One turn of the event loop: nothing else was answered while it lasted. */
export interface Turn {
  readonly lastedMs: number;
  /** Of that, in which this thread ran: without what it waited for a processor that others had, and for other threads that collect garbage with it. */
  readonly ranMs: number;
  /** Of that, in which garbage was collected. */
  readonly collectedMs: number;
}

/** What is looked at of an entry of `node:perf_hooks`. */
interface Entry {
  readonly startTime: number;
  readonly duration: number;
}

const MOST_TURNS = 1 << 17;
const IDLE_MS = 0.5;

/** Watches each turn of the event loop, which never rests meanwhile. What it notes is reserved beforehand, so that it makes no garbage to speak of. */
export class EventLoopTurns {
  readonly #ends = new Float64Array(MOST_TURNS);
  readonly #lasted = new Float64Array(MOST_TURNS);
  readonly #ran = new Float64Array(MOST_TURNS);
  readonly #thread = new Thread();
  readonly #collections: { readonly startMs: number; readonly endMs: number }[] = [];
  readonly #observer = new PerformanceObserver((list) => {
    this.#note(list.getEntries());
  });
  #count = 0;
  #running = false;
  #last = 0;
  #lastRan = 0;

  start(): void {
    this.#count = 0;
    this.#collections.length = 0;
    this.#observer.observe({ entryTypes: ['gc'] });
    this.#running = true;
    this.#last = performance.now();
    this.#lastRan = this.#thread.ranMs();
    this.#next();
  }

  /** All turns since the start, but those in which next to nothing was done. */
  stop(): Turn[] {
    this.#running = false;
    this.#note(this.#observer.takeRecords());
    this.#observer.disconnect();
    const turns: Turn[] = [];
    for (let at = 0; at < this.#count; at++) {
      const [endMs = 0, lastedMs = 0] = [this.#ends[at], this.#lasted[at]];
      const startMs = endMs - lastedMs;
      const collectedMs = this.#collections
        .map((one) => Math.min(endMs, one.endMs) - Math.max(startMs, one.startMs))
        .reduce((sum, ms) => sum + Math.max(0, ms), 0);
      turns.push({ lastedMs, ranMs: this.#ran[at] ?? 0, collectedMs });
    }
    return turns;
  }

  /** Garbage since the start, all together. */
  get collectedMs(): number {
    return this.#collections.reduce((sum, { startMs, endMs }) => sum + endMs - startMs, 0);
  }

  #note(entries: readonly Entry[]): void {
    for (const { startTime, duration } of entries)
      this.#collections.push({ startMs: startTime, endMs: startTime + duration });
  }

  #next(): void {
    setImmediate(() => {
      const now = performance.now();
      const ran = this.#thread.ranMs();
      const lastedMs = now - this.#last;
      if (lastedMs > IDLE_MS && this.#count < MOST_TURNS) {
        this.#ends[this.#count] = now;
        this.#lasted[this.#count] = lastedMs;
        this.#ran[this.#count++] = ran - this.#lastRan;
      }
      this.#last = now;
      this.#lastRan = ran;
      if (this.#running) this.#next();
    });
  }
}

const NANOSECONDS = 1e6;

/** How long this thread ran so far, by Linux; elsewhere it can't be told, and all time counts. */
class Thread {
  readonly #file = process.platform === 'linux' ? openSync('/proc/thread-self/schedstat', 'r') : -1;
  readonly #bytes = Buffer.alloc(64);

  ranMs(): number {
    if (this.#file < 0) return performance.now();
    // Has the system bring its account up to date, which it else does at its next tick.
    process.cpuUsage();
    const length = readSync(this.#file, this.#bytes, 0, this.#bytes.length, 0);
    return parseInt(this.#bytes.toString('latin1', 0, length), 10) / NANOSECONDS;
  }
}
