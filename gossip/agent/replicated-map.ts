import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { boolean, record, text, uint, wide } from '../wire/record.js';
import { HybridClock, isLater } from './hybrid-time.js';
import type { HybridTime } from './hybrid-time.js';

/** A key with its last value; one that was deleted is kept, so that it isn't brought back by who has not heard of it. */
export interface MapEntry extends HybridTime {
  readonly key: string;
  readonly value: string;
  readonly deleted: boolean;
}

export const MAX_KEY_BYTES = 128;
/** An entry has to fit into one packet. */
export const MAX_VALUE_BYTES = 768;
export const MAX_ENTRIES = 10_000;
const KEY = /^[\x21-\x7e]+$/;

const entry = record<MapEntry>({
  ...{ key: ['K', text(MAX_KEY_BYTES)], value: ['V', text(MAX_VALUE_BYTES)] },
  ...{ ms: ['M', wide()], count: ['C', uint(0xff_ff_ff_ff)] },
  ...{ by: ['B', text(512)], deleted: ['D', boolean()] },
});

/** A map that every member has: who wrote last wins, in whichever order members hear of it. */
export class ReplicatedMap {
  readonly #entries = new Map<string, MapEntry>();
  readonly #clock: HybridClock;

  constructor(name: string, now: () => number = Date.now) {
    this.#clock = new HybridClock(name, now);
  }

  /** How many keys have a value. */
  get size(): number {
    let size = 0;
    for (const { deleted } of this.#entries.values()) if (!deleted) size++;
    return size;
  }

  get(key: string): string | undefined {
    const found = this.#entries.get(key);
    return found?.deleted === false ? found.value : undefined;
  }

  /** Writes; the entry is to be told to everybody. INVALID_ARGUMENT, or RESOURCE_EXHAUSTED where there are too many keys. */
  set(key: string, value: string): MapEntry {
    checkKey(key);
    const bytes = Buffer.byteLength(value);
    if (bytes > MAX_VALUE_BYTES)
      throw invalidArgument(
        'value',
        `has ${String(bytes)} bytes, at most ${String(MAX_VALUE_BYTES)}`,
      );
    return this.#write(key, value, false);
  }

  /** Deletes; undefined where there is nothing. */
  delete(key: string): MapEntry | undefined {
    checkKey(key);
    return this.get(key) === undefined ? undefined : this.#write(key, '', true);
  }

  /** Takes what another member wrote; whether it was news. */
  merge(heard: MapEntry): boolean {
    if (!this.#clock.witness(heard)) return false;
    const known = this.#entries.get(heard.key);
    if (known ? !isLater(heard, known) : this.#entries.size >= MAX_ENTRIES) return false;
    this.#entries.set(heard.key, heard);
    return true;
  }

  /** All entries, for somebody who comes late. */
  encodeAll(): Uint8Array {
    const writer = new RawWriter().uint(this.#entries.size);
    for (const one of this.#entries.values()) entry.write(writer, one);
    return writer.finish();
  }

  #write(key: string, value: string, deleted: boolean): MapEntry {
    if (!this.#entries.has(key) && this.#entries.size >= MAX_ENTRIES)
      throw limitExceeded('max_entries', this.#entries.size + 1, MAX_ENTRIES, { what: 'keys' });
    const written = { key, value, deleted, ...this.#clock.next() };
    this.#entries.set(key, written);
    return written;
  }
}

export function encodeEntry(one: MapEntry): Uint8Array {
  const writer = new RawWriter();
  entry.write(writer, one);
  return writer.finish();
}

/** Throws a WireError. */
export function decodeEntry(bytes: Uint8Array): MapEntry {
  return entry.read(new RawReader(bytes));
}

/** What `encodeAll` made. Throws a WireError. */
export function* decodeAll(bytes: Uint8Array): Generator<MapEntry> {
  const reader = new RawReader(bytes);
  for (let left = reader.uint(MAX_ENTRIES); left > 0; left--) yield entry.read(reader);
}

function checkKey(key: string): void {
  if (key.length > 0 && key.length <= MAX_KEY_BYTES && KEY.test(key)) return;
  const expected = `expected 1 to ${String(MAX_KEY_BYTES)} printable characters without spaces`;
  throw invalidArgument('key', `is ${JSON.stringify(key.slice(0, 40))}, ${expected}`);
}
