import type { Limits } from '../../../config/limits.js';
import { limitExceeded } from '../../../runtime/errors.js';

export type QuotaLimits = Pick<
  Limits,
  'max_memories' | 'max_memory_bytes' | 'max_client_memory_bytes'
>;

/** When room that others take now may be free again, ms. */
const RETRY_MS = 200;

/** Counts what memories take, in all and for each client. Invariant: a client is listed only while something is counted to it. */
export class Quota {
  readonly #limits: QuotaLimits;
  readonly #clients = new Map<string, { count: number; bytes: number }>();
  #count = 0;
  #bytes = 0;

  constructor(limits: QuotaLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get clients(): number {
    return this.#clients.size;
  }

  /** Throws RESOURCE_EXHAUSTED, naming the limit, where it does not fit. */
  check(client: string, bytes: number): void {
    const limits = this.#limits;
    const own = this.#clients.get(client)?.bytes ?? 0;
    if (this.#count >= limits.max_memories)
      throw limitExceeded('max_memories', this.#count + 1, limits.max_memories, {
        ...{ what: 'the number of memories of this node', retryAfterMs: RETRY_MS },
      });
    const allowed = limits.max_client_memory_bytes;
    fit('max_client_memory_bytes', `memory of ${client}`, own, bytes, allowed);
    fit('max_memory_bytes', 'memory of this node', this.#bytes, bytes, limits.max_memory_bytes);
  }

  /** Throws as `check`, and then counts nothing. */
  take(client: string, bytes: number): void {
    this.check(client, bytes);
    const own = this.#clients.get(client) ?? { count: 0, bytes: 0 };
    own.count++;
    own.bytes += bytes;
    this.#clients.set(client, own);
    this.#count++;
    this.#bytes += bytes;
  }

  /** Gives back what `take` counted. */
  give(client: string, bytes: number): void {
    const own = this.#clients.get(client);
    if (!own) throw new Error(`nothing is counted to ${client}`);
    own.count--;
    own.bytes -= bytes;
    if (own.count === 0) this.#clients.delete(client);
    this.#count--;
    this.#bytes -= bytes;
  }
}

function fit(limit: string, what: string, held: number, added: number, allowed: number): void {
  if (held + added <= allowed) return;
  throw limitExceeded(limit, `${String(held)} + ${String(added)} bytes`, allowed, {
    what,
    // What is too large by itself will be so later too.
    ...(added <= allowed ? { retryAfterMs: RETRY_MS } : {}),
  });
}
