import { crc32 } from './crc32.js';
import { ENCRYPTION_BYTES } from './keyring.js';
import type { Keyring } from './keyring.js';
import { checkLabel, labelHeader } from './label.js';
import { MAX_PACKET_DEPTH, MAX_PACKET_MESSAGES, MAX_UNPACKED_PACKET_BYTES } from './limits.js';
import { unpack } from './lzw-decoder.js';
import { pack } from './lzw-encoder.js';
import { decodeMessage, MessageType } from './messages.js';
import type { Message } from './messages.js';
import { record, uint, view } from './record.js';
import { RawReader } from './raw-reader.js';
import { RawWriter } from './raw-writer.js';
import { malformed, WireError } from './wire-error.js';

/** What a cluster has agreed on. */
export interface WireOptions {
  /** Empty = none. */
  readonly label: Uint8Array;
  /** Undefined = nothing is encrypted. */
  readonly keyring: Keyring | undefined;
  /** With a keyring: whether what comes in plain is dropped. */
  readonly verifyIncoming: boolean;
  /** Whether what is sent is packed where that makes it smaller. */
  readonly compress: boolean;
  /** False for the answer on a connection that was dialled: it says no label. Default true. */
  readonly expectsLabel?: boolean;
}

/** A part of a compound message counts for this many bytes more; releases of Go before 0.3 misread 128 and more. */
export const COMPOUND_PART_BYTES = 2;
export const COMPOUND_BYTES = 2;
export const MAX_PARTS = 127;

interface Packed {
  readonly algorithm: number;
  readonly bytes: Uint8Array;
}

/** LZW is the only one that there is. */
const LZW = 0;

/** How packed bytes stand in packets and streams; those that are read are a view. */
export function packedCodec(maxBytes: number) {
  return record<Packed>({ algorithm: ['Algo', uint(0xff)], bytes: ['Buf', view(maxBytes)] });
}

export function checkAlgorithm({ algorithm }: Packed): void {
  if (algorithm !== LZW) throw malformed(`packed by the unknown algorithm ${String(algorithm)}`);
}

const packetPacked = packedCodec(0xff_ff);

/** Bytes of a packet that are no message. */
export function overheadBytes({ label, keyring }: WireOptions): number {
  return labelHeader(label).length + (keyring ? ENCRYPTION_BYTES : 0);
}

/** A packet of messages, encoded each; at least one and at most `MAX_PARTS`. */
export function sealPacket(parts: readonly Uint8Array[], options: WireOptions): Uint8Array {
  const { keyring, label } = options;
  const plain = packedIfSmaller(compoundOf(parts), options);
  const sealed = keyring ? keyring.seal(plain, label) : plain;
  return label.length === 0 ? sealed : Buffer.concat([labelHeader(label), sealed]);
}

function compoundOf(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (!only || parts.length > MAX_PARTS || parts.some(({ length }) => length === 0))
    throw new Error(`a packet of ${String(parts.length)} parts, or of an empty one`);
  if (parts.length === 1) return only;
  const head = new DataView(new ArrayBuffer(COMPOUND_BYTES + COMPOUND_PART_BYTES * parts.length));
  head.setUint8(0, MessageType.compound);
  head.setUint8(1, parts.length);
  for (const [part, { length }] of parts.entries())
    head.setUint16(COMPOUND_BYTES + COMPOUND_PART_BYTES * part, length);
  return Buffer.concat([new Uint8Array(head.buffer), ...parts]);
}

function packedIfSmaller(plain: Uint8Array, { compress }: WireOptions): Uint8Array {
  if (!compress) return plain;
  const writer = new RawWriter().byte(MessageType.compress);
  packetPacked.write(writer, { algorithm: LZW, bytes: pack(plain) });
  return writer.written.length < plain.length ? writer.finish() : plain;
}

/** What a packet had in it. */
export interface OpenedPacket {
  readonly messages: readonly Message[];
  /** Parts that were none; the others count. */
  readonly problems: readonly WireError[];
}

/** Throws a WireError where all of the packet is wrong. */
export function openPacket(packet: Uint8Array, options: WireOptions): OpenedPacket {
  const { keyring, label, verifyIncoming } = options;
  const rest = packet.subarray(checkLabel(packet, label));
  let plain = rest;
  if (keyring)
    try {
      plain = keyring.open(rest, label);
    } catch (error) {
      if (verifyIncoming || !(error instanceof WireError)) throw error;
    }
  const opening = new Opening();
  opening.take(plain, 0);
  return opening;
}

/** What is found in a packet, as far as it may cost. */
class Opening implements OpenedPacket {
  readonly messages: Message[] = [];
  readonly problems: WireError[] = [];
  #leftBytes = MAX_UNPACKED_PACKET_BYTES;

  /** Throws where the whole packet is no message; of a part it is told. */
  take(part: Uint8Array, depth: number): void {
    try {
      this.#open(part, depth);
    } catch (error) {
      if (depth === 0 || !(error instanceof WireError)) throw error;
      this.problems.push(error);
    }
  }

  #open(part: Uint8Array, depth: number): void {
    if (depth > MAX_PACKET_DEPTH) throw malformed('messages are nested too deep');
    switch (part[0]) {
      case MessageType.hasCrc:
        this.take(checksummed(part), depth + 1);
        return;
      case MessageType.compress:
        this.take(this.#unpacked(part), depth + 1);
        return;
      case MessageType.compound:
        this.#openAll(part, depth);
        return;
      default:
        this.messages.push(decodeMessage(part));
    }
  }

  #openAll(compound: Uint8Array, depth: number): void {
    const { parts, missing } = partsOf(compound);
    for (const part of parts) {
      if (this.messages.length + this.problems.length >= MAX_PACKET_MESSAGES) {
        const most = String(MAX_PACKET_MESSAGES);
        // Told once: every further part would tell it again.
        if (depth === 0) this.problems.push(new WireError('too_large', `more than ${most} parts`));
        return;
      }
      this.take(part, depth + 1);
    }
    if (missing > 0)
      this.problems.push(new WireError('truncated', `${String(missing)} parts are cut off`));
  }

  #unpacked(part: Uint8Array): Uint8Array {
    const packed = packetPacked.read(new RawReader(part, 1));
    checkAlgorithm(packed);
    const leftBytes = this.#leftBytes;
    // Spent, should it fail: many bombs in one packet would each cost all of it.
    this.#leftBytes = 0;
    const plain = unpack(packed.bytes, leftBytes);
    if (plain.length === 0) throw malformed('nothing was packed');
    this.#leftBytes = leftBytes - plain.length;
    return plain;
  }
}

function checksummed(part: Uint8Array): Uint8Array {
  const reader = new RawReader(part, 1);
  const expected = reader.uint32();
  const rest = part.subarray(reader.offset);
  if (crc32(rest) !== expected) throw malformed('its checksum is another');
  return rest;
}

function partsOf(compound: Uint8Array): { parts: Uint8Array[]; missing: number } {
  const reader = new RawReader(compound, 1);
  const count = reader.byte();
  const lengths = Array.from({ length: count }, () => (reader.byte() << 8) | reader.byte());
  const parts: Uint8Array[] = [];
  for (const length of lengths) {
    if (length > reader.left) break;
    parts.push(reader.bytes(length));
  }
  return { parts, missing: count - parts.length };
}
