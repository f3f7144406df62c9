import { MAX_NAME_BYTES } from '../wire/limits.js';
import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { boolean, record, text, wide } from '../wire/record.js';
import { SerfType } from './message-type.js';

/** "I am going"; or, as an operator says it of somebody who failed, "forget it". */
export interface LeaveIntent {
  readonly time: number;
  readonly name: string;
  /** Nobody is to show it any more. */
  readonly prune: boolean;
}

/** "I am here." */
export interface JoinIntent {
  readonly time: number;
  readonly name: string;
}

const name = text(MAX_NAME_BYTES);
const leave = record<LeaveIntent>({
  ...{ time: ['LTime', wide()], name: ['Node', name], prune: ['Prune', boolean()] },
});
const join = record<JoinIntent>({ time: ['LTime', wide()], name: ['Node', name] });

export function encodeLeave(intent: LeaveIntent): Uint8Array {
  const writer = new RawWriter().byte(SerfType.leave);
  leave.write(writer, intent);
  return writer.finish();
}

/** `message` is one, by its first byte. Throws a WireError. */
export function decodeLeave(message: Uint8Array): LeaveIntent {
  return leave.read(new RawReader(message, 1));
}

export function encodeJoin(intent: JoinIntent): Uint8Array {
  const writer = new RawWriter().byte(SerfType.join);
  join.write(writer, intent);
  return writer.finish();
}

/** `message` is one, by its first byte. Throws a WireError. */
export function decodeJoin(message: Uint8Array): JoinIntent {
  return join.read(new RawReader(message, 1));
}
