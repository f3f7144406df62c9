import { MAX_ADDRESS_BYTES, MAX_META_BYTES, MAX_NAME_BYTES, MAX_PAYLOAD_BYTES } from './limits.js';
import { RawReader } from './raw-reader.js';
import { RawWriter } from './raw-writer.js';
import { alike, boolean, bytes, optional, record, text, uint } from './record.js';
import type { RecordCodec } from './record.js';
import { malformed } from './wire-error.js';

/** First byte of every message. */
export const MessageType = {
  ping: 0,
  indirectPing: 1,
  ack: 2,
  suspect: 3,
  alive: 4,
  dead: 5,
  pushPull: 6,
  compound: 7,
  user: 8,
  compress: 9,
  encrypt: 10,
  nack: 11,
  hasCrc: 12,
  error: 13,
  hasLabel: 244,
} as const;

/** Six numbers: of the protocol, then of the delegate, each least, most and in use. Anything but six bytes ends Go peers. */
export type Versions = Uint8Array;
const VERSION_BYTES = 6;

/** Where an answer goes, if not to where the packet came from. Empty and 0 = nowhere else. */
export interface Source {
  readonly sourceAddress: Uint8Array;
  readonly sourcePort: number;
  readonly sourceName: string;
}

/** "Are you there, NAME?" */
export interface Ping extends Source {
  readonly sequence: number;
  readonly name: string;
}

/** "Ask NAME for me." */
export interface IndirectPing extends Source {
  readonly sequence: number;
  readonly target: Uint8Array;
  readonly port: number;
  readonly name: string;
  /** Whether a `nack` is wanted when nothing is heard. */
  readonly nack: boolean;
}

export interface Ack {
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** "I could not reach it, but I am here." */
export interface Nack {
  readonly sequence: number;
}

/** An accusation by `from`. */
export interface Accusation {
  readonly incarnation: number;
  readonly name: string;
  readonly from: string;
}

/** What a member says of itself. */
export interface Alive {
  readonly incarnation: number;
  readonly name: string;
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
  /** At most 512 bytes, of which only the delegate knows the meaning. */
  readonly meta: Uint8Array;
  readonly versions: Versions;
}

export type Message =
  | ({ readonly kind: 'ping' } & Ping)
  | ({ readonly kind: 'indirectPing' } & IndirectPing)
  | ({ readonly kind: 'ack' } & Ack)
  | ({ readonly kind: 'nack' } & Nack)
  | ({ readonly kind: 'suspect' } & Accusation)
  | ({ readonly kind: 'dead' } & Accusation)
  | ({ readonly kind: 'alive' } & Alive)
  | { readonly kind: 'user'; readonly payload: Uint8Array };

export const uint32 = uint(0xff_ff_ff_ff);
const port = uint(0xff_ff);
export const name = text(MAX_NAME_BYTES);
export const address = bytes(MAX_ADDRESS_BYTES);
export const meta = bytes(MAX_META_BYTES);
export const versions = alike(VERSION_BYTES);
export { port };

const source = {
  sourceAddress: ['SourceAddr', optional(address)],
  sourcePort: ['SourcePort', optional(port)],
  sourceName: ['SourceNode', optional(name)],
} as const;
const accusation = record<Accusation>({
  incarnation: ['Incarnation', uint32],
  name: ['Node', name],
  from: ['From', name],
});

type Recorded = Exclude<Message, { kind: 'user' }>;

const codecs = {
  ping: record<Ping>({ sequence: ['SeqNo', uint32], name: ['Node', name], ...source }),
  indirectPing: record<IndirectPing>({
    ...{ sequence: ['SeqNo', uint32], target: ['Target', address], port: ['Port', port] },
    ...{ name: ['Node', name], nack: ['Nack', boolean()] },
    ...source,
  }),
  ack: record<Ack>({
    sequence: ['SeqNo', uint32],
    payload: ['Payload', bytes(MAX_PAYLOAD_BYTES)],
  }),
  nack: record<Nack>({ sequence: ['SeqNo', uint32] }),
  suspect: accusation,
  dead: accusation,
  alive: record<Alive>({
    ...{ incarnation: ['Incarnation', uint32], name: ['Node', name], address: ['Addr', address] },
    ...{ port: ['Port', port], meta: ['Meta', meta], versions: ['Vsn', versions] },
  }),
} as const;

const kinds = new Map(
  (Object.keys(codecs) as Recorded['kind'][]).map((kind) => [MessageType[kind], kind]),
);

/** A message with its type before it, as it stands in a packet. Throws on what would end a Go peer: versions that are not six bytes. */
export function encodeMessage(message: Message): Uint8Array {
  const writer = new RawWriter();
  if (message.kind === 'user') return writer.byte(MessageType.user).bytes(message.payload).finish();
  if (message.kind === 'alive' && message.versions.length !== VERSION_BYTES)
    throw new Error(`${message.name} has ${String(message.versions.length)} bytes of versions`);
  writer.byte(MessageType[message.kind]);
  (codecs[message.kind] as RecordCodec<object>).write(writer, message);
  return writer.finish();
}

/** Throws a WireError. */
export function decodeMessage(encoded: Uint8Array): Message {
  const [type] = encoded;
  if (type === MessageType.user)
    return { kind: 'user', payload: new Uint8Array(encoded.subarray(1)) };
  const kind = kinds.get(type as never);
  if (kind === undefined) throw malformed(`no message has type ${String(type)}`);
  const body = codecs[kind].read(new RawReader(encoded, 1));
  const message = { kind, ...body } as Message;
  check(message);
  return message;
}

/** What a message must have to mean anything. */
function check(message: Message): void {
  if (message.kind === 'alive') checkMember(message);
  else if ((message.kind === 'suspect' || message.kind === 'dead') && message.name === '')
    throw malformed(`a ${message.kind} message names nobody`);
}

/** What everything that is said of a member must have. */
export function checkMember(member: Pick<Alive, 'name' | 'address' | 'port' | 'versions'>): void {
  const { length } = member.versions;
  if (member.name === '') throw malformed('a member without a name');
  if (member.port === 0) throw malformed(`${member.name} has port 0`);
  if (length !== VERSION_BYTES)
    throw malformed(`${member.name} has ${String(length)} bytes of versions, expected 6`);
  const bytesOfAddress = member.address.length;
  if (bytesOfAddress !== 4 && bytesOfAddress !== 16)
    throw malformed(`${member.name} has an address of ${String(bytesOfAddress)} bytes`);
}
