import { MAX_MEMBERS, MAX_NAME_BYTES } from '../wire/limits.js';
import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { bytes, list, nested, record, text, wide } from '../wire/record.js';
import type { Field } from '../wire/record.js';
import { eventName, eventPayload } from './events.js';
import { SerfType } from './message-type.js';

/** What agents of Serf exchange besides the members: their clocks, and what was said lately. */
export interface SerfState {
  readonly time: number;
  /** By member, when its last intent was. */
  readonly statusTimes: ReadonlyMap<string, number>;
  readonly left: readonly string[];
  readonly eventTime: number;
  readonly events: readonly EventsAt[];
  readonly queryTime: number;
  /** Of our own kind of members; agents of Serf pass over it. */
  readonly ours: Uint8Array;
}

/** What was told at one time of the clock of events. */
export interface EventsAt {
  readonly time: number;
  readonly events: readonly { readonly name: string; readonly payload: Uint8Array }[];
}

const MAX_MOMENTS = 4096;
const MAX_EVENTS_AT_ONCE = 1024;
const MAX_OURS_BYTES = 20 * 1024 ** 2;

const name = text(MAX_NAME_BYTES);
const times: Field<ReadonlyMap<string, number>> = {
  ...{ absent: new Map<string, number>(), omitted: false },
  write(writer, value) {
    writer.map(value.size);
    for (const [key, time] of value) writer.raw(key).wide(time);
  },
  read(reader) {
    const read = new Map<string, number>();
    if (reader.skipNil()) return read;
    for (let left = reader.mapSize(MAX_MEMBERS); left > 0; left--)
      read.set(name.read(reader), reader.uint(Number.MAX_SAFE_INTEGER));
    return read;
  },
  *writing(writer, value) {
    writer.map(value.size);
    for (const [key, time] of value) {
      writer.raw(key).wide(time);
      yield undefined;
    }
  },
  *reading(reader) {
    const read = new Map<string, number>();
    if (reader.skipNil()) return read;
    for (let left = reader.mapSize(MAX_MEMBERS); left > 0; left--) {
      read.set(name.read(reader), reader.uint(Number.MAX_SAFE_INTEGER));
      yield undefined;
    }
    return read;
  },
};

type Told = EventsAt['events'][number];
const nothingTold: Told = { name: '', payload: new Uint8Array() };
const told = record<Told>({ name: ['Name', eventName], payload: ['Payload', eventPayload] });
const moment = record<EventsAt>({
  time: ['LTime', wide()],
  events: ['Events', list(nested(told, nothingTold), MAX_EVENTS_AT_ONCE)],
});
/** Agents of Serf send a place for each of the times that they look back, most of them empty. */
const moments = list(nested(moment, { time: 0, events: [] }), MAX_MOMENTS);

const state = record<SerfState>({
  ...{ time: ['LTime', wide()], statusTimes: ['StatusLTimes', times] },
  ...{ left: ['LeftMembers', list(name, MAX_MEMBERS)], eventTime: ['EventLTime', wide()] },
  ...{ events: ['Events', moments], queryTime: ['QueryLTime', wide()] },
  ours: ['Fractory', bytes(MAX_OURS_BYTES)],
});

/** In steps: of ten thousand members it takes many turns of the event loop. */
export function* encodingState(own: SerfState): Generator<undefined, Uint8Array> {
  const writer = new RawWriter().byte(SerfType.pushPull);
  yield* state.writing(writer, own);
  return writer.finish();
}

/** In steps; undefined where it is none of Serf's. Throws a WireError. */
export function* decodingState(message: Uint8Array): Generator<undefined, SerfState | undefined> {
  if (message[0] !== SerfType.pushPull) return undefined;
  return yield* state.reading(new RawReader(message, 1));
}
