import { MAX_KEY_BYTES, MAX_KEYS } from './limits.js';
import type { RawReader } from './raw-reader.js';
import { RawWriter } from './raw-writer.js';

/** How one field travels. */
export interface Field<T> {
  /** Value of a field that isn't there. */
  readonly absent: T;
  /** It isn't written where it is `absent`. */
  readonly omitted: boolean;
  write(writer: RawWriter, value: T): void;
  read(reader: RawReader): T;
  /** The same in steps, where a value may be long. */
  writing?(writer: RawWriter, value: T): Generator<undefined, void>;
  reading?(reader: RawReader): Generator<undefined, T>;
}

/** A map with fixed keys, as Go encodes a struct: sorted when it is written, in any order, with unknown keys passed over, when it is read. */
export interface RecordCodec<T> {
  write(writer: RawWriter, record: T): void;
  read(reader: RawReader): T;
  /** The same in steps, so that much of it does not hold the event loop. */
  writing(writer: RawWriter, record: T): Generator<undefined, void>;
  reading(reader: RawReader): Generator<undefined, T>;
}

/** `fields`: by our own name, the key on the wire and how its value travels. */
export function record<T extends object>(fields: {
  readonly [Name in keyof T]: readonly [key: string, field: Field<T[Name]>];
}): RecordCodec<T> {
  const named = Object.entries(fields) as [keyof T, readonly [string, Field<unknown>]][];
  const sorted = named
    .map(([name, [key, field]]) => ({ name, key, field, encoded: encodedText(key), place: 0 }))
    .sort((one, other) => (one.key < other.key ? -1 : 1));
  for (const [place, entry] of sorted.entries()) entry.place = place;
  const byKey = new Map(sorted.map((entry) => [entry.key, entry]));
  const absent = Object.fromEntries(sorted.map(({ name, field }) => [name, field.absent]));
  const hasOmitted = sorted.some(({ field }) => field.omitted);
  const presentIn = (value: T): typeof sorted =>
    hasOmitted
      ? sorted.filter(({ name, field }) => !field.omitted || isThere(value[name]))
      : sorted;
  /** The field whose key comes next; `after`: that of the last one, as who sorts them has them in our order. Undefined = an unknown one. */
  const nextField = (reader: RawReader, after: number): (typeof sorted)[number] | undefined => {
    const likely = sorted[after + 1];
    return likely && reader.skipThese(likely.encoded)
      ? likely
      : byKey.get(reader.text(MAX_KEY_BYTES));
  };
  return {
    write(writer, value) {
      const present = presentIn(value);
      writer.map(present.length);
      for (const { name, encoded, field } of present)
        field.write(writer.bytes(encoded), value[name]);
    },
    *writing(writer, value) {
      const present = presentIn(value);
      writer.map(present.length);
      for (const { name, encoded, field } of present)
        if (field.writing) yield* field.writing(writer.bytes(encoded), value[name]);
        else field.write(writer.bytes(encoded), value[name]);
    },
    *reading(reader) {
      const read: Record<PropertyKey, unknown> = { ...absent };
      let last = -1;
      for (let left = reader.mapSize(MAX_KEYS); left > 0; left--) {
        const known = nextField(reader, last);
        last = known?.place ?? last;
        if (!known) reader.skip();
        else if (known.field.reading) read[known.name] = yield* known.field.reading(reader);
        else read[known.name] = known.field.read(reader);
      }
      return read as T;
    },
    read(reader) {
      const read: Record<PropertyKey, unknown> = { ...absent };
      let last = -1;
      for (let left = reader.mapSize(MAX_KEYS); left > 0; left--) {
        const known = nextField(reader, last);
        last = known?.place ?? last;
        if (known) read[known.name] = known.field.read(reader);
        else reader.skip();
      }
      return read as T;
    },
  };
}

function encodedText(text: string): Uint8Array {
  return new RawWriter().raw(text).finish();
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
    read: (reader) => reader.copy(maxBytes),
  };
}

/** What is read is a view of what it is read from. */
export function view(maxBytes: number): Field<Uint8Array> {
  return { ...bytes(maxBytes), read: (reader) => reader.raw(maxBytes) };
}

export function boolean(): Field<boolean> {
  return {
    ...{ absent: false, omitted: false },
    write: (writer, value) => writer.boolean(value),
    read: (reader) => reader.boolean(),
  };
}

/** Any number that is finite. */
export function double(): Field<number> {
  return {
    ...{ absent: 0, omitted: false },
    write: (writer, value) => writer.double(value),
    read: (reader) => reader.double(),
  };
}

/** A list of values that travel alike. */
export function list<T>(of: Field<T>, maxValues: number): Field<readonly T[]> {
  return {
    ...{ absent: [], omitted: false },
    write(writer, values) {
      writer.list(values.length);
      for (const value of values) of.write(writer, value);
    },
    read(reader) {
      const values: T[] = [];
      for (let left = reader.listSize(maxValues); left > 0; left--) values.push(of.read(reader));
      return values;
    },
    *writing(writer, values) {
      writer.list(values.length);
      for (const value of values) {
        of.write(writer, value);
        yield undefined;
      }
    },
    *reading(reader) {
      const values: T[] = [];
      for (let left = reader.listSize(maxValues); left > 0; left--) {
        values.push(of.read(reader));
        yield undefined;
      }
      return values;
    },
  };
}

/** A map within a map; nothing in its place is one with nothing in it. */
export function nested<T>(codec: RecordCodec<T>, absent: T): Field<T> {
  return {
    ...{ absent, omitted: false },
    write: (writer, value) => {
      codec.write(writer, value);
    },
    read: (reader) => (reader.skipNil() ? absent : codec.read(reader)),
  };
}

/** A field that is not written where it is zero or empty. */
export function optional<T>(field: Field<T>): Field<T> {
  return { ...field, omitted: true };
}

/**
 * Few different bytes, read many times, such as versions: the same ones stand for those that were read last, by whichever connection, as to keep each costs a quarter of a kilobyte.
 * Nobody writes into what was read.
 */
export function alike(maxBytes: number): Field<Uint8Array> {
  const field = bytes(maxBytes);
  let last = field.absent;
  return {
    ...field,
    read(reader) {
      last = reader.copy(maxBytes, last);
      return last;
    },
  };
}
