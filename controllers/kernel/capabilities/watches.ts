import type { Clock } from '../../../runtime/clock.js';
import { limitExceeded } from '../../../runtime/errors.js';

/** Why a watched capability is useless. */
export type WatchEnd = 'revoked' | 'expired' | 'owner lost';

/** Hears once; must not throw. */
export type WatchListener = (end: WatchEnd) => void;

/** The longest that a timer can wait, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** When there may be room for another, ms. */
const RETRY_MS = 1000;

interface Watch {
  readonly node: bigint;
  readonly listener: WatchListener;
  cancelTimer: () => void;
}

/** Who wants to hear of the end of which node. Invariant: what has heard, or was cancelled, is held no more. */
export class Watches {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #byNode = new Map<bigint, Set<Watch>>();
  #size = 0;

  constructor(clock: Clock, most: number) {
    this.#clock = clock;
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns what cancels it; idempotent. */
  add(node: bigint, expiresAtMs: number | undefined, listener: WatchListener): () => void {
    if (this.#size >= this.#most)
      throw limitExceeded('max_watches', this.#size + 1, this.#most, { retryAfterMs: RETRY_MS });
    const watch: Watch = { node, listener, cancelTimer: () => undefined };
    const known = this.#byNode.get(node);
    if (known) known.add(watch);
    else this.#byNode.set(node, new Set([watch]));
    this.#size++;
    if (expiresAtMs !== undefined) this.#expireAt(watch, expiresAtMs);
    return () => {
      this.#remove(watch);
    };
  }

  /** These nodes died. */
  wake(nodes: readonly { readonly id: bigint }[], end: WatchEnd): void {
    if (this.#size === 0) return;
    for (const { id } of nodes)
      for (const watch of [...(this.#byNode.get(id) ?? [])]) this.#end(watch, end);
  }

  #expireAt(watch: Watch, expiresAtMs: number): void {
    const leftMs = expiresAtMs - this.#clock.now();
    watch.cancelTimer = this.#clock.schedule(Math.min(Math.max(leftMs, 0), MAX_TIMER_MS), () => {
      if (this.#clock.now() >= expiresAtMs) this.#end(watch, 'expired');
      else this.#expireAt(watch, expiresAtMs);
    });
  }

  #end(watch: Watch, end: WatchEnd): void {
    if (this.#remove(watch)) watch.listener(end);
  }

  #remove(watch: Watch): boolean {
    const watches = this.#byNode.get(watch.node);
    if (!watches?.delete(watch)) return false;
    watch.cancelTimer();
    if (watches.size === 0) this.#byNode.delete(watch.node);
    this.#size--;
    return true;
  }
}
