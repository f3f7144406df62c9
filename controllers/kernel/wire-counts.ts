/** Counts what goes over the wire to and from one other controller, by one path. */
export interface WireCounts {
  sent(bytes: number, messages: number): void;
  received(bytes: number, messages: number): void;
}

/** `link`: the messages of links. `bulk`: the bytes of memories. */
export type WirePath = 'link' | 'bulk';

/** The counts of a peer, by its member id. */
export type WireCountsOf = (peer: string, path: WirePath) => WireCounts;

/** Counts nothing. */
export const noWireCounts: WireCountsOf = () => ({
  sent: () => undefined,
  received: () => undefined,
});

/** What has gone over the wire in one direction since the node started. */
export interface WireTotal {
  readonly peer: string;
  readonly path: WirePath;
  readonly direction: 'sent' | 'received';
  readonly bytes: number;
  readonly messages: number;
}

/** Plain sums: counting costs nothing that a message would notice, and metrics ask for them when they are read. */
export class WireTotals {
  readonly #totals = new Map<string, { -readonly [K in keyof WireTotal]: WireTotal[K] }>();

  readonly of: WireCountsOf = (peer, path) => {
    const sent = this.#total(peer, path, 'sent');
    const received = this.#total(peer, path, 'received');
    return {
      sent: (bytes, messages) => {
        sent.bytes += bytes;
        sent.messages += messages;
      },
      received: (bytes, messages) => {
        received.bytes += bytes;
        received.messages += messages;
      },
    };
  };

  all(): readonly WireTotal[] {
    return [...this.#totals.values()];
  }

  #total(peer: string, path: WirePath, direction: WireTotal['direction']) {
    const key = `${peer} ${path} ${direction}`;
    const known = this.#totals.get(key);
    if (known) return known;
    const total = { peer, path, direction, bytes: 0, messages: 0 };
    this.#totals.set(key, total);
    return total;
  }
}

/** Counts for a connection whose other end is not known yet: what came before is told as soon as it is. */
export class PendingCounts implements WireCounts {
  #counts: WireCounts | undefined;
  readonly #before: ((counts: WireCounts) => void)[] = [];

  /** Only the first counts. */
  settle(counts: WireCounts): void {
    if (this.#counts) return;
    this.#counts = counts;
    for (const tell of this.#before.splice(0)) tell(counts);
  }

  sent(bytes: number, messages: number): void {
    if (this.#counts) this.#counts.sent(bytes, messages);
    else
      this.#before.push((counts) => {
        counts.sent(bytes, messages);
      });
  }

  received(bytes: number, messages: number): void {
    if (this.#counts) this.#counts.received(bytes, messages);
    else
      this.#before.push((counts) => {
        counts.received(bytes, messages);
      });
  }
}
