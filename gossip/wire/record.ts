import type { RawReader } from './raw-reader.js';
import type { RawWriter } from './raw-writer.js';

/** How one field travels. */
export interface Field<T> {
  /** Value of a field that isn't there. */
  readonly absent: T;
  /** It isn't written where it is `absent`. */
  readonly omitted: boolean;
  write(writer: RawWriter, value: T): void;
  read(reader: RawReader): T;
}

/** A map with fixed keys, as Go encodes a struct: sorted when it is written, in any order, with unknown keys passed over, when it is read. */
export interface RecordCodec<T> {
  write(writer: RawWriter, record: T): void;
  read(reader: RawReader): T;
}

/** Keys beyond are no message of ours, whatever they mean. */
const MAX_KEYS = 64;
const MAX_KEY_BYTES = 64;

/** `fields`: by our own name, the key on the wire and how its value travels. */
export function record<T extends object>(fields: {
  readonly [Name in keyof T]: readonly [key: string, field: Field<T[Name]>];
}): RecordCodec<T> {
  const named = Object.entries(fields) as [keyof T, readonly [string, Field<unknown>]][];
  const sorted = named
    .map(([name, [key, field]]) => ({ name, key, field }))
    .sort((one, other) => (one.key < other.key ? -1 : 1));
  const byKey = new Map(sorted.map((entry) => [entry.key, entry]));
  const absent = Object.fromEntries(sorted.map(({ name, field }) => [name, field.absent]));
  return {
    write(writer, value) {
      const present = sorted.filter(({ name, field }) => !field.omitted || isThere(value[name]));
      writer.map(present.length);
      for (const { name, key, field } of present) field.write(writer.raw(key), value[name]);
    },
    read(reader) {
      const read: Record<PropertyKey, unknown> = { ...absent };
      for (let left = reader.mapSize(MAX_KEYS); left > 0; left--) {
        const known = byKey.get(reader.text(MAX_KEY_BYTES));
        if (known) read[known.name] = known.field.read(reader);
        else reader.skip();
      }
      return read as T;
    },
  };
}

/** Go's "omitempty": neither zero nor empty. */
function isThere(value: unknown): boolean {
  if (typeof value === 'string' || value instanceof Uint8Array) return value.length > 0;
  return value !== 0 && value !== false;
}

export function uint(max: number): Field<number> {
  return {
    ...{ absent: 0, omitted: false },
    write: (writer, value) => writer.uint(value),
    read: (reader) => reader.uint(max),
  };
}

/** A number that may be larger than 32 bits; see `RawWriter.wide`. */
export function wide(): Field<number> {
  const max = Number.MAX_SAFE_INTEGER;
  return { ...uint(max), write: (writer, value) => writer.wide(value) };
}

export function text(maxBytes: number): Field<string> {
  return {
    ...{ absent: '', omitted: false },
    write: (writer, value) => writer.raw(value),
    read: (reader) => reader.text(maxBytes),
  };
}

/** What is read is a copy: packets are reused. */
export function bytes(maxBytes: number): Field<Uint8Array> {
  return {
    ...{ absent: new Uint8Array(), omitted: false },
    write: (writer, value) => writer.raw(value),
    read: (reader) => new Uint8Array(reader.raw(maxBytes)),
  };
}

export function boolean(): Field<boolean> {
  return {
    ...{ absent: false, omitted: false },
    write: (writer, value) => writer.boolean(value),
    read: (reader) => reader.boolean(),
  };
}

/** A field that is not written where it is zero or empty. */
export function optional<T>(field: Field<T>): Field<T> {
  return { ...field, omitted: true };
}
