import { MAX_NAME_BYTES } from '../wire/limits.js';
import { RawReader } from '../wire/raw-reader.js';
import { RawWriter } from '../wire/raw-writer.js';
import { bytes, list, nested, record, text, uint, wide } from '../wire/record.js';
import type { Endpoint } from '../core/member.js';
import { SerfType } from './message-type.js';

/** A question to all members, or to those that the filters let through. Answers go straight to who asks. */
export interface Query {
  readonly time: number;
  readonly id: number;
  readonly address: Uint8Array;
  readonly port: number;
  readonly source: string;
  readonly filters: readonly Uint8Array[];
  readonly flags: number;
  /** An answer goes by so many others as well, as packets may be lost. */
  readonly relays: number;
  readonly name: string;
  readonly payload: Uint8Array;
}

export interface QueryAnswer {
  readonly time: number;
  readonly id: number;
  readonly from: string;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** Of flags. `ack`: who hears the query says so, or this is what says so. `noBroadcast`: it is not passed on. */
export const QueryFlag = { ack: 1, noBroadcast: 2 } as const;

const MAX_FILTERS = 64;
const MAX_FILTER_BYTES = 64 * 1024;
const MAX_PAYLOAD_BYTES = 9 * 1024;
const MAX_ADDRESS_BYTES = 16;
const name = text(MAX_NAME_BYTES);
const u32 = uint(0xff_ff_ff_ff);
const port = uint(0xff_ff);

const query = record<Query>({
  ...{ time: ['LTime', wide()], id: ['ID', u32] },
  ...{ address: ['Addr', bytes(MAX_ADDRESS_BYTES)], port: ['Port', port] },
  ...{
    source: ['SourceNode', name],
    filters: ['Filters', list(bytes(MAX_FILTER_BYTES), MAX_FILTERS)],
  },
  ...{ flags: ['Flags', u32], relays: ['RelayFactor', uint(0xff)] },
  ...{ name: ['Name', text(256)], payload: ['Payload', bytes(MAX_PAYLOAD_BYTES)] },
});
const answer = record<QueryAnswer>({
  ...{ time: ['LTime', wide()], id: ['ID', u32], from: ['From', name], flags: ['Flags', u32] },
  payload: ['Payload', bytes(MAX_PAYLOAD_BYTES)],
});

/** Go's net.UDPAddr. */
interface RelayAddress {
  readonly ip: Uint8Array;
  readonly port: number;
  readonly zone: string;
}
interface RelayHeader {
  readonly to: RelayAddress;
  readonly name: string;
}
const nowhere: RelayAddress = { ip: new Uint8Array(), port: 0, zone: '' };
const relayAddress = record<RelayAddress>({
  ...{ ip: ['IP', bytes(MAX_ADDRESS_BYTES)], port: ['Port', port], zone: ['Zone', text(64)] },
});
const relayHeader = record<RelayHeader>({
  to: ['DestAddr', nested(relayAddress, nowhere)],
  name: ['DestName', name],
});

export function encodeQuery(asked: Query): Uint8Array {
  const writer = new RawWriter().byte(SerfType.query);
  query.write(writer, asked);
  return writer.finish();
}

/** `message` is one, by its first byte. Throws a WireError. */
export function decodeQuery(message: Uint8Array): Query {
  return query.read(new RawReader(message, 1));
}

export function encodeAnswer(given: QueryAnswer): Uint8Array {
  const writer = new RawWriter().byte(SerfType.queryResponse);
  answer.write(writer, given);
  return writer.finish();
}

/** `message` is one, by its first byte. Throws a WireError. */
export function decodeAnswer(message: Uint8Array): QueryAnswer {
  return answer.read(new RawReader(message, 1));
}

/** A message that somebody is to send on to the one whom it is for. */
export function encodeRelay(
  { address, port }: Endpoint,
  name: string,
  inner: Uint8Array,
): Uint8Array {
  const writer = new RawWriter().byte(SerfType.relay);
  relayHeader.write(writer, { to: { ip: address, port, zone: '' }, name });
  return writer.bytes(inner).finish();
}

/** `message` is one, by its first byte; the message in it is a view. Throws a WireError. */
export function decodeRelay(message: Uint8Array): { to: Endpoint; inner: Uint8Array } {
  const reader = new RawReader(message, 1);
  const { to } = relayHeader.read(reader);
  return { to: { address: to.ip, port: to.port }, inner: reader.bytes(reader.left) };
}
