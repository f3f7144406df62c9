import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import type { StepScope } from '../../protos/gen/fractory/v1/caveat.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { sizeOf } from '../../protos/values.js';
import { isNarrowedFrom, lineageOf } from './graph/activities.js';

/** A step of a run, and the capability that it is used with. */
export interface StepUse {
  readonly scope: StepScope;
  readonly capability: Capability;
}

interface Entry {
  readonly value: Value;
  readonly bytes: number;
  /** Of the capability that was used. */
  readonly lineage: Capability;
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

  get(use: StepUse): Value | undefined {
    const key = keyOf(use);
    const entry = this.#entries.get(key);
    if (!entry || entry.isLive()) return entry?.value;
    this.#remove(key);
    return undefined;
  }

  /** `isLive`: whether what the value refers to is still there. */
  set(use: StepUse, value: Value, isLive: () => boolean = () => true): void {
    const bytes = sizeOf(value);
    if (this.#maxEntries === 0 || bytes > MAX_ENTRY_BYTES) return;
    const key = keyOf(use);
    this.#remove(key);
    this.#entries.set(key, { value, bytes, lineage: lineageOf(use.capability), isLive });
    this.#bytes += bytes;
    while (this.#entries.size > this.#maxEntries || this.#bytes > this.#maxBytes) {
      const [oldest] = this.#entries.keys();
      if (oldest === undefined) return;
      this.#remove(oldest);
    }
  }

  /** The run has ended: nobody will ask for what this step yielded by `capability`, or by one narrowed from it, any more. */
  forget(scope: StepScope, capability: Capability): void {
    if (this.#entries.size === 0) return;
    const prefix = prefixOf(scope);
    const released = lineageOf(capability);
    for (const [key, { lineage }] of this.#entries)
      if (key.startsWith(prefix) && isNarrowedFrom(lineage, released)) this.#remove(key);
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

export function keyOf({ scope, capability: { tag } }: StepUse): string {
  return `${prefixOf(scope)}${Buffer.from(tag.buffer, tag.byteOffset, tag.length).toString('latin1')}`;
}

/** What all keys of a step, and of the items of a map, begin with. */
export const prefixOf = ({ run, step }: StepScope): string => `${run}\n${step}\n`;
