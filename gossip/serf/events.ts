import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { boolean, bytes, record, text, wide } from '../wire/record.js';
import { SerfType } from './message-type.js';

/** Something that a program tells all members, by the clock of events. */
export interface UserEvent {
  readonly time: number;
  readonly name: string;
  readonly payload: Uint8Array;
  /** Whether handlers of agents may take several events of this name as one. */
  readonly coalesce: boolean;
}

export const MAX_EVENT_NAME_BYTES = 256;
export const MAX_EVENT_BYTES = 9 * 1024;
export const eventName = text(MAX_EVENT_NAME_BYTES);
export const eventPayload = bytes(MAX_EVENT_BYTES);

const userEvent = record<UserEvent>({
  ...{ time: ['LTime', wide()], name: ['Name', eventName] },
  ...{ payload: ['Payload', eventPayload], coalesce: ['CC', boolean()] },
});

export function encodeUserEvent(event: UserEvent): Uint8Array {
  const writer = new RawWriter().byte(SerfType.userEvent);
  userEvent.write(writer, event);
  return writer.finish();
}

/** `message` is one, by its first byte. Throws a WireError. */
export function decodeUserEvent(message: Uint8Array): UserEvent {
  return userEvent.read(new RawReader(message, 1));
}
