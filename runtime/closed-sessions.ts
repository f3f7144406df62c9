import type { Http2Session } from 'node:http2';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import type { PerformanceEntry } from 'node:perf_hooks';

/** Closed sessions that are kept at most: a few KiB each. The oldest goes first. */
const MAX_KEPT = 4096;
/** How long before a collection a session must have been closed for its streams to be garbage by then, ms. */
const SETTLED_MS = 100;

/** What a performance entry about garbage collection tells. */
type Collection = PerformanceEntry & { readonly detail: { readonly kind: number } };

/** What Node.js itself has of a session; private, so looked for by its name. */
function innerOf(session: Http2Session): unknown {
  const key = Object.getOwnPropertySymbols(session).find(
    ({ description }) => description === 'kHandle',
  );
  return key && (session as unknown as Record<symbol, unknown>)[key];
}

/**
 * Keeps the inner halves of closed HTTP/2 sessions until a whole garbage collection has passed. Node.js 20 aborts (`current_nghttp2_memory_ == 0`) where one
 * collection takes a session before a stream of it whose header was refused, as it may when a caller sends bad paths and hangs up: streams go first this way.
 */
export class ClosedSessions {
  readonly #kept = new Map<unknown, number>();
  readonly #observer: PerformanceObserver;

  constructor() {
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as Collection[])
        if (entry.detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR)
          this.#release(entry.startTime - SETTLED_MS);
    });
  }

  /** Sessions that are kept now. */
  get size(): number {
    return this.#kept.size;
  }

  /** To be called while it is open. */
  watch(session: Http2Session): void {
    const inner = innerOf(session);
    if (inner === undefined) return;
    session.once('close', () => {
      this.#keep(inner);
    });
  }

  #keep(inner: unknown): void {
    // Nothing is watched while nothing is kept: it costs a little at each collection.
    if (this.#kept.size === 0) this.#observer.observe({ entryTypes: ['gc'] });
    this.#kept.set(inner, performance.now());
    if (this.#kept.size <= MAX_KEPT) return;
    const [oldest] = this.#kept.keys();
    this.#kept.delete(oldest);
  }

  #release(closedBeforeMs: number): void {
    for (const [inner, closedMs] of this.#kept) {
      if (closedMs > closedBeforeMs) break;
      this.#kept.delete(inner);
    }
    if (this.#kept.size === 0) this.#observer.disconnect();
  }
}
