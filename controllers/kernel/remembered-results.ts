import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { sizeOf } from '../../protos/values.js';

interface Entry {
  readonly value: Value;
  readonly bytes: number;
  readonly isLive: () => boolean;
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
    const entry = this.#entries.get(key);
    if (!entry || entry.isLive()) return entry?.value;
    this.#remove(key);
    return undefined;
  }

  /** `isLive`: whether what the value refers to is still there. */
  set(key: string, value: Value, isLive: () => boolean = () => true): void {
    const bytes = sizeOf(value);
    if (this.#maxEntries === 0 || bytes > MAX_ENTRY_BYTES) return;
    this.#remove(key);
    this.#entries.set(key, { value, bytes, isLive });
    this.#bytes += bytes;
    while (this.#entries.size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const [oldest] = this.#entries.keys();
      if (oldest === undefined) return;
      this.#remove(oldest);
    }
  }

  /** The run has ended: nobody will ask for the results of this step any more. */
  forget(run: string, step: string): void {
    if (this.#entries.size === 0) return;
    const prefix = prefixOf(run, step);
    for (const key of [...this.#entries.keys()]) if (key.startsWith(prefix)) this.#remove(key);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
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
  return `${prefixOf(run, step)}${Buffer.from(tag.buffer, tag.byteOffset, tag.length).toString('latin1')}`;
}

/** What all keys of a step, and of the items of a map, begin with. */
export const prefixOf = (run: string, step: string): string => `${run}\n${step}\n`;
