import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { sizeOf } from '../../protos/values.js';

interface Entry {
  readonly value: Value;
  readonly bytes: number;
}

/** Results larger than this are computed again rather than kept. */
const MAX_ENTRY_BYTES = 1024 * 1024;

/**
 * Results of steps, so that a run that is tried again does no step twice on the same node. The key holds the tag of the capability that
 * was used: nobody without it finds the result. Oldest leave first.
 */
export class RememberedResults {
  readonly #maxEntries: number;
  readonly #maxBytes: number;
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(maxEntries: number, maxBytes: number) {
    this.#maxEntries = maxEntries;
    this.#maxBytes = maxBytes;
  }

  get(key: string): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  set(key: string, value: Value): void {
    const bytes = sizeOf(value);
    if (this.#maxEntries === 0 || bytes > MAX_ENTRY_BYTES) return;
    this.#remove(key);
    this.#entries.set(key, { value, bytes });
    this.#bytes += bytes;
    while (this.#entries.size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const [oldest] = this.#entries.keys();
      if (oldest === undefined) return;
      this.#remove(oldest);
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    this.#bytes -= entry.bytes;
    this.#entries.delete(key);
  }
}

/** Key of a step's result. */
export function resultKey(run: string, step: string, tag: Uint8Array): string {
  return `${run}\n${step}\n${Buffer.from(tag.buffer, tag.byteOffset, tag.length).toString('latin1')}`;
}
