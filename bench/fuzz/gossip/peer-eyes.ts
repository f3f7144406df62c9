import { addressText } from '../../../gossip/net/address.js';
import { unpack } from '../../../gossip/wire/lzw-decoder.js';
import { MAX_PARTS } from '../../../gossip/wire/packet.js';
import type { WireOptions } from '../../../gossip/wire/packet.js';
import { RawReader } from '../../../gossip/wire/raw-reader.js';

/** Known bodies: maps with these keys and no others. */
const KEYS: Readonly<Record<number, readonly string[]>> = {
  0: ['SeqNo', 'Node', 'SourceAddr', 'SourcePort', 'SourceNode'],
  1: ['SeqNo', 'Target', 'Port', 'Node', 'Nack', 'SourceAddr', 'SourcePort', 'SourceNode'],
  2: ['SeqNo', 'Payload'],
  3: ['Incarnation', 'Node', 'From'],
  4: ['Incarnation', 'Node', 'Addr', 'Port', 'Meta', 'Vsn'],
  5: ['Incarnation', 'Node', 'From'],
  11: ['SeqNo'],
};
const USER = 8;
type OfUser = (message: Uint8Array) => string | undefined;

/**
 * What would end or confuse memberlist 0.2.2, which has neither our decoder nor its patience, in a packet that was sent to it; undefined = nothing. Reads by its own
 * means: only what that release understands. `faultOfUser`: looks at messages of the program on top.
 */
export function faultOfPacket(
  packet: Uint8Array,
  { label, keyring }: WireOptions,
  packetBytes: number,
  faultOfUser: (message: Uint8Array) => string | undefined = () => undefined,
): string | undefined {
  if (packet.length > packetBytes) return `a packet of ${String(packet.length)} bytes`;
  let rest = packet;
  if (label.length > 0) {
    if (rest[0] !== 244 || rest[1] !== label.length) return 'a packet without its label';
    rest = rest.subarray(2 + label.length);
  }
  try {
    return faultOfMessage(keyring ? keyring.open(rest, label) : rest, 0, faultOfUser);
  } catch (error) {
    return `not to be read: ${String(error)}`;
  }
}

function faultOfMessage(message: Uint8Array, depth: number, ofUser: OfUser): string | undefined {
  const [type] = message;
  if (type === undefined) return 'an empty message';
  if (depth > 2) return 'messages in messages in messages';
  if (type === USER) return ofUser(message.subarray(1));
  if (type === 7) return faultOfCompound(message, depth, ofUser);
  const reader = new RawReader(message, 1);
  if (type === 9) {
    const fields = strictMap(reader);
    const inner = unpack(fields.get('Buf') as Uint8Array, 65_536);
    return inner.length === 0 ? 'nothing, packed' : faultOfMessage(inner, depth + 1, ofUser);
  }
  const keys = KEYS[type];
  if (!keys) return `a message of type ${String(type)}`;
  const fields = strictMap(reader);
  if (reader.left > 0) return `${String(reader.left)} bytes behind a message`;
  for (const key of fields.keys()) if (!keys.includes(key)) return `an unknown key ${key}`;
  return type === 4 ? faultOfAlive(fields) : undefined;
}

function faultOfCompound(message: Uint8Array, depth: number, ofUser: OfUser): string | undefined {
  const count = message[1] ?? 0;
  if (count === 0 || count > MAX_PARTS) return `a compound of ${String(count)} parts`;
  let at = 2 + 2 * count;
  for (let part = 0; part < count; part++) {
    const length = ((message[2 + 2 * part] ?? 0) << 8) | (message[3 + 2 * part] ?? 0);
    if (length === 0 || at + length > message.length) return `a part of ${String(length)} bytes`;
    const fault = faultOfMessage(message.subarray(at, at + length), depth + 1, ofUser);
    if (fault !== undefined) return fault;
    at += length;
  }
  return at === message.length ? undefined : 'bytes behind a compound';
}

function faultOfAlive(fields: ReadonlyMap<string, unknown>): string | undefined {
  const [versions, address, meta] = ['Vsn', 'Addr', 'Meta'].map((key) => fields.get(key));
  if (!(versions instanceof Uint8Array) || versions.length !== 6)
    return 'versions of not six bytes';
  if (!(address instanceof Uint8Array) || addressText(address) === undefined) return 'no address';
  return meta instanceof Uint8Array && meta.length > 512 ? 'too many tags' : undefined;
}

/** Only the forms that go-msgpack 0.5.5 reads: raw, unsigned numbers up to 32 bits, truth and nothing. */
function strictMap(reader: RawReader): Map<string, unknown> {
  const head = reader.byte();
  if (head < 0x80 || head > 0x8f) throw new Error(`a map that begins with ${String(head)}`);
  const fields = new Map<string, unknown>();
  for (let key = head & 15; key > 0; key--)
    fields.set(Buffer.from(strictValue(reader) as Uint8Array).toString(), strictValue(reader));
  return fields;
}

function strictValue(reader: RawReader): unknown {
  const head = reader.byte();
  if (head < 0x80) return head;
  if (head >= 0xa0 && head < 0xc0) return reader.bytes(head & 31);
  switch (head) {
    case 0xc0:
      return undefined;
    case 0xc2:
    case 0xc3:
      return head === 0xc3;
    case 0xcc:
      return reader.byte();
    case 0xcd:
      return (reader.byte() << 8) | reader.byte();
    case 0xce:
      return reader.uint32();
    case 0xda:
      return reader.bytes((reader.byte() << 8) | reader.byte());
    case 0xdb:
      return reader.bytes(reader.uint32());
    default:
      throw new Error(`a value that begins with ${String(head)}`);
  }
}
