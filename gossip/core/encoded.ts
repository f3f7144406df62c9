import { encodeMessage } from '../wire/messages.js';
import type { Message, Source } from '../wire/messages.js';

const known = new WeakMap<Message, Uint8Array>();

/** A message as it travels. It is passed on many times and encoded once. */
export function encodedOf(message: Message): Uint8Array {
  let encoded = known.get(message);
  if (!encoded) {
    encoded = encodeMessage(message);
    known.set(message, encoded);
  }
  return encoded;
}

/** Length of a message as it travels, added up: to encode it costs more. */
export function sizeOf(message: Message): number {
  switch (message.kind) {
    case 'ping':
      return (
        PING_BYTES + uintBytes(message.sequence) + rawBytes(message.name) + sourceBytes(message)
      );
    case 'indirectPing': {
      const { sequence, target, port, name } = message;
      const numbers = uintBytes(sequence) + uintBytes(port);
      const words = rawBytes(target) + rawBytes(name);
      return INDIRECT_PING_BYTES + numbers + words + sourceBytes(message);
    }
    case 'ack':
      return ACK_BYTES + uintBytes(message.sequence) + rawBytes(message.payload);
    case 'nack':
      return NACK_BYTES + uintBytes(message.sequence);
    case 'suspect':
    case 'dead':
      return (
        ACCUSATION_BYTES +
        uintBytes(message.incarnation) +
        rawBytes(message.name) +
        rawBytes(message.from)
      );
    case 'alive': {
      const { incarnation, name, address, port, meta, versions } = message;
      const numbers = uintBytes(incarnation) + uintBytes(port);
      const words = rawBytes(name) + rawBytes(address) + rawBytes(meta) + rawBytes(versions);
      return ALIVE_BYTES + numbers + words;
    }
    case 'user':
      return 1 + message.payload.length;
  }
}

/** Type, map and keys, each key with a byte before it. */
const PING_BYTES = 2 + 5 + 6;
const INDIRECT_PING_BYTES = 2 + 5 + 5 + 5 + 6 + 7 + 1;
const ACK_BYTES = 2 + 8 + 6;
const NACK_BYTES = 2 + 6;
const ACCUSATION_BYTES = 2 + 12 + 5 + 5;
const ALIVE_BYTES = 2 + 12 + 5 + 5 + 5 + 5 + 4;

function sourceBytes({ sourceAddress, sourcePort, sourceName }: Source): number {
  let bytes = 0;
  if (sourceAddress.length > 0) bytes += 11 + rawBytes(sourceAddress);
  if (sourcePort !== 0) bytes += 11 + uintBytes(sourcePort);
  if (sourceName !== '') bytes += 11 + rawBytes(sourceName);
  return bytes;
}

function uintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x1_00) return 2;
  return value < 0x1_00_00 ? 3 : 5;
}

function rawBytes(value: string | Uint8Array): number {
  const length = typeof value === 'string' ? utf8Bytes(value) : value.length;
  if (length < 32) return 1 + length;
  return (length < 65_536 ? 3 : 5) + length;
}

function utf8Bytes(text: string): number {
  for (let at = 0; at < text.length; at++)
    if (text.charCodeAt(at) > 0x7f) return Buffer.byteLength(text);
  return text.length;
}
