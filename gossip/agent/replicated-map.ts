import type { FractoryError } from '../../runtime/errors.js';
import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { boolean, record, text, uint, wide } from '../wire/record.js';
import { WireError } from '../wire/wire-error.js';
import { HybridClock, isLater, MAX_COUNT } from './hybrid-time.js';
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
/** All of it goes into every exchange. */
export const MAX_MAP_BYTES = 4 * 1024 ** 2;
/** Of an entry, besides key, value and writer. */
const ENTRY_BYTES = 32;
/** A deleted key is remembered for so long at least, ms; then it may make place: who was away for longer brings it back. */
const REMEMBERED_MS = 3_600_000;
const KEY = /^[\x21-\x7e]+$/;

const entry = record<MapEntry>({
  ...{ key: ['K', text(MAX_KEY_BYTES)], value: ['V', text(MAX_VALUE_BYTES)] },
  ...{ ms: ['M', wide()], count: ['C', uint(MAX_COUNT)] },
  ...{ by: ['B', text(512)], deleted: ['D', boolean()] },
});

/** A map that every member has: who wrote last wins, in whichever order members hear of it. */
export class ReplicatedMap {
  readonly #entries = new Map<string, MapEntry>();
  readonly #clock: HybridClock;
  readonly #now: () => number;
  #bytes = 0;

  constructor(name: string, now: () => number = Date.now) {
    this.#now = now;
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

  /** Writes; the entry is to be told to everybody. INVALID_ARGUMENT, or RESOURCE_EXHAUSTED where the map is full. */
  set(key: string, value: string): MapEntry {
    checkKey(key);
    const bytes = Buffer.byteLength(value);
    if (bytes > MAX_VALUE_BYTES)
      throw invalidArgument(
        'value',
        `has ${String(bytes)} bytes, at most ${String(MAX_VALUE_BYTES)}`,
      );
    // As others will read it: half a pair of surrogates has no bytes of its own.
    return this.#write(key, Buffer.from(value).toString(), false);
  }

  /** Deletes; undefined where there is nothing. */
  delete(key: string): MapEntry | undefined {
    checkKey(key);
    return this.get(key) === undefined ? undefined : this.#write(key, '', true);
  }

  /** Takes what another member wrote; whether it was news. Throws a WireError where it is too far ahead, or the map is full. */
  merge(heard: MapEntry): boolean {
    this.#clock.witness(heard);
    const known = this.#entries.get(heard.key);
    if (known && !isLater(heard, known)) return false;
    const problem = this.#problemOf(heard);
    if (problem) throw new WireError('too_large', problem.message);
    this.#put(heard);
    return true;
  }

  /** All entries, for somebody who comes late. In steps: a full map takes many turns of the event loop. */
  *encodingAll(): Generator<undefined, Uint8Array> {
    const entries = [...this.#entries.values()];
    const writer = new RawWriter().uint(entries.length);
    for (const one of entries) {
      entry.write(writer, one);
      yield undefined;
    }
    return writer.finish();
  }

  /** Takes what `encodingAll` made, in steps. Throws a WireError, at the end where only some entries could not be taken. */
  *mergingAll(bytes: Uint8Array): Generator<undefined, void> {
    let refused: WireError | undefined;
    for (const heard of decodeAll(bytes)) {
      try {
        this.merge(heard);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
        refused ??= error;
      }
      yield undefined;
    }
    if (refused) throw refused;
  }

  #write(key: string, value: string, deleted: boolean): MapEntry {
    const written = { key, value, deleted, ...this.#clock.next() };
    const problem = this.#problemOf(written);
    if (problem) throw problem;
    this.#put(written);
    return written;
  }

  #put(entry: MapEntry): void {
    const known = this.#entries.get(entry.key);
    this.#bytes += bytesOf(entry) - (known ? bytesOf(known) : 0);
    this.#entries.set(entry.key, entry);
  }

  /** Why there is no place for an entry. What was deleted long ago makes place first. */
  #problemOf(entry: MapEntry): FractoryError | undefined {
    const problem = this.#limitOf(entry);
    if (!problem) return undefined;
    const untilMs = this.#now() - REMEMBERED_MS;
    for (const [key, known] of this.#entries)
      if (known.deleted && known.ms < untilMs && key !== entry.key) {
        this.#entries.delete(key);
        this.#bytes -= bytesOf(known);
      }
    return this.#limitOf(entry);
  }

  #limitOf(entry: MapEntry): FractoryError | undefined {
    const known = this.#entries.get(entry.key);
    const entries = this.#entries.size + (known ? 0 : 1);
    if (entries > MAX_ENTRIES)
      return limitExceeded('max_entries', entries, MAX_ENTRIES, { what: 'keys' });
    const bytes = this.#bytes + bytesOf(entry) - (known ? bytesOf(known) : 0);
    // What gets smaller always fits.
    if (bytes <= MAX_MAP_BYTES || bytes <= this.#bytes) return undefined;
    return limitExceeded('max_map_bytes', bytes, MAX_MAP_BYTES, { what: 'bytes of the map' });
  }
}

function bytesOf({ key, value, by }: MapEntry): number {
  return ENTRY_BYTES + key.length + Buffer.byteLength(value) + by.length;
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

/** What `encodingAll` made. Throws a WireError. */
export function* decodeAll(bytes: Uint8Array): Generator<MapEntry> {
  const reader = new RawReader(bytes);
  for (let left = reader.uint(MAX_ENTRIES); left > 0; left--) yield entry.read(reader);
}

function checkKey(key: string): void {
  if (key.length > 0 && key.length <= MAX_KEY_BYTES && KEY.test(key)) return;
  const expected = `expected 1 to ${String(MAX_KEY_BYTES)} printable characters without spaces`;
  const isLong = key.length > MAX_KEY_BYTES;
  const found = isLong ? `has ${String(key.length)} characters` : `is ${JSON.stringify(key)}`;
  throw invalidArgument('key', `${found}, ${expected}`);
}
