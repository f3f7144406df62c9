/** Something that everybody should hear. */
export interface Rumour<M> {
  readonly message: M;
  readonly bytes: number;
  /** Whom it is about: a newer rumour about the same one takes its place. Undefined = it stands for itself. */
  readonly about: string | undefined;
  /** Called once, when it was passed on often enough or a newer one took its place. */
  readonly finished?: () => void;
}

interface Waiting<M> extends Rumour<M> {
  sent: number;
  readonly order: number;
}

/**
 * Rumours that wait for packets with room. Those that were passed on least go first, then the larger ones, then the newer ones; each goes out so often as the caller says, and
 * there is one at most about each member. Invariant: as many as members and user messages at most, so memory is bounded by what the cluster has.
 */
export class Rumours<M> {
  readonly #waiting = new Map<string | symbol, Waiting<M>>();
  /** In the order in which they go; undefined = it has to be made anew. */
  #sorted: Waiting<M>[] | undefined;
  #order = 0;

  get size(): number {
    return this.#waiting.size;
  }

  add(rumour: Rumour<M>): void {
    const key = rumour.about ?? Symbol('rumour');
    this.#waiting.get(key)?.finished?.();
    this.#waiting.delete(key);
    this.#waiting.set(key, { ...rumour, sent: 0, order: this.#order++ });
    this.#sorted = undefined;
  }

  /** Takes what goes into a packet with so much room; each part costs `partBytes` more. `limit`: how often a rumour is passed on. */
  take(roomBytes: number, partBytes: number, maxParts: number, limit: number): M[] {
    if (this.#waiting.size === 0) return [];
    this.#sorted ??= [...this.#waiting.values()].sort(
      (a, b) => a.sent - b.sent || b.bytes - a.bytes || b.order - a.order,
    );
    const taken: M[] = [];
    let left = roomBytes;
    for (const waiting of this.#sorted) {
      if (taken.length >= maxParts) break;
      const bytes = waiting.bytes + partBytes;
      if (bytes > left) continue;
      left -= bytes;
      taken.push(waiting.message);
      waiting.sent++;
    }
    if (taken.length > 0) this.#retire(limit);
    return taken;
  }

  #retire(limit: number): void {
    this.#sorted = undefined;
    for (const [key, waiting] of this.#waiting)
      if (waiting.sent >= limit) {
        this.#waiting.delete(key);
        waiting.finished?.();
      }
  }
}
