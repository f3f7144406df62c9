import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { boolean, bytes, record, text, wide } from '../wire/record.js';
import { MAX_NAME_BYTES } from '../wire/messages.js';

/** First byte of Serf's messages within user messages; there are others, which only pass through here. */
export const SerfType = { leave: 0, join: 1, pushPull: 2, userEvent: 3, query: 5 } as const;

/** Lamport times are 64 bits; as many as a number can hold will do. */
const lamportTime = wide();
const name = text(MAX_NAME_BYTES);

/** "I am going", or "forget it" where an operator prunes it. */
export interface LeaveIntent {
  readonly time: number;
  readonly name: string;
  readonly prune: boolean;
}

export interface JoinIntent {
  readonly time: number;
  readonly name: string;
}

const leave = record<LeaveIntent>({
  ...{ time: ['LTime', lamportTime], name: ['Node', name], prune: ['Prune', boolean()] },
});
const join = record<JoinIntent>({ time: ['LTime', lamportTime], name: ['Node', name] });
/** Something that a program tells all members, by the clock of events. */
export interface UserEvent {
  readonly time: number;
  readonly name: string;
  readonly payload: Uint8Array;
  /** Whether events of one name may be told as one. */
  readonly coalesce: boolean;
}

const MAX_EVENT_BYTES = 9 * 1024;
const userEvent = record<UserEvent>({
  ...{ time: ['LTime', lamportTime], name: ['Name', text(256)] },
  ...{ payload: ['Payload', bytes(MAX_EVENT_BYTES)], coalesce: ['CC', boolean()] },
});

const MAX_STATE_BYTES = 20 * 1024 ** 2;
/** State of an exchange, of which more is there than we need: what is between the lines are agents' own memories. */
interface SerfState {
  readonly time: number;
  readonly eventTime: number;
  /** Of our own kind of members; agents of Serf pass over it. */
  readonly ours: Uint8Array;
}
const state = record<SerfState>({
  ...{ time: ['LTime', lamportTime], eventTime: ['EventLTime', lamportTime] },
  ours: ['Fractory', bytes(MAX_STATE_BYTES)],
});

/** What every one of Serf's messages has; the rest is not looked at. */
const timed = record<{ readonly time: number }>({ time: ['LTime', lamportTime] });

export function encodeLeave(intent: LeaveIntent): Uint8Array {
  const writer = new RawWriter().byte(SerfType.leave);
  leave.write(writer, intent);
  return writer.finish();
}

export function encodeJoin(intent: JoinIntent): Uint8Array {
  const writer = new RawWriter().byte(SerfType.join);
  join.write(writer, intent);
  return writer.finish();
}

/** The member that somebody means to go, if this is such a message. Throws a WireError. */
export function decodeLeave(message: Uint8Array): LeaveIntent | undefined {
  return message[0] === SerfType.leave ? leave.read(new RawReader(message, 1)) : undefined;
}

/** Lamport time of an intent or of an exchanged state; undefined where the message has another clock. Throws a WireError. */
export function clockOf(message: Uint8Array): number | undefined {
  const [type] = message;
  const hasClock = type === SerfType.leave || type === SerfType.join || type === SerfType.pushPull;
  return hasClock ? timed.read(new RawReader(message, 1)).time : undefined;
}

export function encodeUserEvent(event: UserEvent): Uint8Array {
  const writer = new RawWriter().byte(SerfType.userEvent);
  userEvent.write(writer, event);
  return writer.finish();
}

/** The event, if this is one. Throws a WireError. */
export function decodeUserEvent(message: Uint8Array): UserEvent | undefined {
  return message[0] === SerfType.userEvent ? userEvent.read(new RawReader(message, 1)) : undefined;
}

/** State of an exchange: all that agents of Serf expect in it, and our own. */
export function encodeState({ time, eventTime, ours }: SerfState): Uint8Array {
  const writer = new RawWriter().byte(SerfType.pushPull).map(7);
  writer.raw('LTime').uint(time).raw('StatusLTimes').map(0).raw('LeftMembers').list(0);
  writer.raw('EventLTime').uint(eventTime).raw('Events').list(0).raw('QueryLTime').uint(0);
  return writer.raw('Fractory').raw(ours).finish();
}

/** The state, if this is one. Throws a WireError. */
export function decodeState(message: Uint8Array): SerfState | undefined {
  return message[0] === SerfType.pushPull ? state.read(new RawReader(message, 1)) : undefined;
}
