import { MAX_ANNOUNCED_MEMBERS, MAX_USER_BYTES } from './limits.js';
import { address, checkMember, meta, name, port, uint32, versions } from './messages.js';
import type { Alive } from './messages.js';
import type { RawReader } from './raw-reader.js';
import { RawWriter } from './raw-writer.js';
import { boolean, record, uint } from './record.js';
import type { Field } from './record.js';

/** What somebody holds of a member, as it travels. */
export const RemoteState = { alive: 0, suspect: 1, dead: 2, left: 3 } as const;
export type RemoteState = keyof typeof RemoteState;

/** One member in an exchange of all that two members know. */
export interface RemoteMember extends Alive {
  readonly state: RemoteState;
}

/** What stands before the members. */
export interface PushPullHeader {
  readonly members: number;
  readonly userStateBytes: number;
  /** Somebody who joins, rather than a regular exchange. */
  readonly join: boolean;
}

const header = record<PushPullHeader>({
  members: ['Nodes', uint(MAX_ANNOUNCED_MEMBERS)],
  userStateBytes: ['UserStateLen', uint(MAX_USER_BYTES)],
  join: ['Join', boolean()],
});

const states = Object.keys(RemoteState) as RemoteState[];
const state: Field<RemoteState> = {
  ...{ absent: 'alive', omitted: false },
  write: (writer, value) => writer.uint(RemoteState[value]),
  read: (reader) => states[reader.uint(RemoteState.left)] ?? 'dead',
};

const member = record<RemoteMember>({
  ...{ incarnation: ['Incarnation', uint32], name: ['Name', name], address: ['Addr', address] },
  ...{ port: ['Port', port], meta: ['Meta', meta], versions: ['Vsn', versions] },
  state: ['State', state],
});

export function encodeHeader(value: PushPullHeader): Uint8Array {
  const writer = new RawWriter();
  header.write(writer, value);
  return writer.finish();
}

export function readHeader(reader: RawReader): PushPullHeader {
  return header.read(reader);
}

export function writeMember(writer: RawWriter, value: RemoteMember): void {
  member.write(writer, value);
}

export function encodeMember(value: RemoteMember): Uint8Array {
  const writer = new RawWriter();
  writeMember(writer, value);
  return writer.finish();
}

export function readMember(reader: RawReader): RemoteMember {
  const read = member.read(reader);
  checkMember(read);
  return read;
}
