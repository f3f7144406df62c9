import { ENCRYPTION_BYTES } from './keyring.js';
import { checkLabel, labelHeader } from './label.js';
import { LzwDecoder, LzwEncoder } from './lzw.js';
import { decodeMessage, MessageType } from './messages.js';
import type { Message } from './messages.js';
import { checkAlgorithm, packedCodec } from './packet.js';
import type { WireOptions } from './packet.js';
import { readHeader, readMember } from './push-pull.js';
import type { PushPullHeader, RemoteMember } from './push-pull.js';
import { RawReader } from './raw-reader.js';
import { RawWriter } from './raw-writer.js';
import { record, text, uint } from './record.js';
import { malformed, WireError } from './wire-error.js';

/** What arrives over a TCP connection, in this order: a message alone, or a header, the members that it announces, and the state of the delegate. */
export type StreamItem =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'header'; readonly header: PushPullHeader }
  | { readonly kind: 'member'; readonly member: RemoteMember }
  | { readonly kind: 'userState'; readonly bytes: Uint8Array };

/** Largest encrypted or packed frame, and largest that it becomes. */
const MAX_FRAME_BYTES = 24 * 1024 ** 2;
const MAX_UNPACKED_BYTES = 40 * 1024 ** 2;
const MAX_USER_BYTES = 20 * 1024 ** 2;
const ENCRYPT_HEADER_BYTES = 5;
/** Packed codes, or bytes to pack, of one step: about a millisecond. */
const CODES_PER_STEP = 16_384;
const BYTES_PER_STEP = 65_536;

const packed = packedCodec(MAX_FRAME_BYTES);
const refusal = record<{ readonly why: string }>({ why: ['Error', text(4096)] });
const userHeader = record<{ readonly bytes: number }>({
  bytes: ['UserMsgLen', uint(MAX_USER_BYTES)],
});

/**
 * What a connection carries, decoded as it arrives. Nobody ends a frame: neither side closes its half, and a plain frame has no total length. Feed it with `push`, then take
 * with `next` until it wants more; each call does a bounded piece of work, so that a large exchange never holds the event loop.
 */
export class StreamDecoder {
  readonly #options: WireOptions;
  #bytes: Uint8Array = new Uint8Array();
  /** No use to try with fewer. */
  #needed = 1;
  #work: () => StreamItem | 'more' | 'end';

  constructor(options: WireOptions) {
    this.#options = options;
    this.#work = () => this.#label();
  }

  push(chunk: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
  }

  /** The next item; `more` = call again, when the event loop had its turn; `wait` = push first; `end` = nothing else is expected. Throws a WireError. */
  next(): StreamItem | 'more' | 'wait' | 'end' {
    if (this.#bytes.length < this.#needed) return 'wait';
    try {
      return this.#work();
    } catch (error) {
      if (!(error instanceof WireError) || error.problem !== 'truncated') throw error;
      this.#needed = Math.max(error.neededBytes, this.#bytes.length + 1);
      if (this.#needed > MAX_UNPACKED_BYTES)
        throw new WireError('too_large', `a frame of ${String(this.#needed)} bytes`);
      return 'wait';
    }
  }

  /** Continues with this work behind so many bytes. */
  #go<T>(consumed: number, work: () => StreamItem | 'more' | 'end', item: T): T {
    this.#bytes = this.#bytes.subarray(consumed);
    this.#needed = 0;
    this.#work = work;
    return item;
  }

  #label(): 'more' {
    const { label, expectsLabel = true } = this.#options;
    const length = expectsLabel ? checkLabel(this.#bytes, label) : 0;
    this.#go(length, () => this.#envelope(), 0);
    this.#needed = 1;
    return 'more';
  }

  #envelope(): 'more' {
    const [type] = this.#bytes;
    const { keyring, verifyIncoming, label } = this.#options;
    if (type !== MessageType.encrypt) {
      if (keyring && verifyIncoming)
        throw new WireError('forbidden', 'it is plain, this cluster encrypts');
      return this.#go(0, () => this.#maybePacked(), 'more');
    }
    if (!keyring) throw new WireError('forbidden', 'it is encrypted, this cluster has no key');
    const reader = new RawReader(this.#bytes, 1);
    const length = reader.uint32();
    if (length > MAX_FRAME_BYTES)
      throw new WireError('too_large', `an encrypted frame of ${String(length)} bytes`);
    const sealed = reader.bytes(length);
    const header = this.#bytes.subarray(0, ENCRYPT_HEADER_BYTES);
    this.#bytes = keyring.open(sealed, Buffer.concat([header, label]));
    return this.#go(0, () => this.#maybePacked(), 'more');
  }

  #maybePacked(): 'more' {
    if (this.#peek() !== MessageType.compress) return this.#go(0, () => this.#message(), 'more');
    const frame = packed.read(new RawReader(this.#bytes, 1));
    checkAlgorithm(frame);
    const decoder = new LzwDecoder(frame.bytes, MAX_UNPACKED_BYTES);
    const unpack = (): 'more' => {
      const plain = decoder.step(CODES_PER_STEP);
      if (!plain) return 'more';
      this.#bytes = plain;
      return this.#go(0, () => this.#message(), 'more');
    };
    return this.#go(0, unpack, 'more');
  }

  #message(): StreamItem {
    const type = this.#peek();
    const reader = new RawReader(this.#bytes, 1);
    switch (type) {
      case MessageType.pushPull: {
        const header = readHeader(reader);
        const item = { kind: 'header', header } as const;
        return this.#go(reader.offset, () => this.#member(header, 0), item);
      }
      case MessageType.error: {
        const { why } = refusal.read(reader);
        return this.#go(reader.offset, ended, { kind: 'refused', why });
      }
      case MessageType.user: {
        const { bytes } = userHeader.read(reader);
        const payload = new Uint8Array(reader.bytes(bytes));
        const item = { kind: 'message', message: { kind: 'user', payload } } as const;
        return this.#go(reader.offset, ended, item);
      }
      case MessageType.ping:
      case MessageType.ack: {
        reader.skip();
        const message = decodeMessage(this.#bytes.subarray(0, reader.offset));
        return this.#go(reader.offset, ended, { kind: 'message', message });
      }
      default:
        throw malformed(`a stream doesn't begin with type ${String(type)}`);
    }
  }

  #member(header: PushPullHeader, index: number): StreamItem {
    const reader = new RawReader(this.#bytes);
    if (index < header.members) {
      const member = readMember(reader);
      const next = (): StreamItem => this.#member(header, index + 1);
      return this.#go(reader.offset, next, { kind: 'member', member });
    }
    const bytes = new Uint8Array(reader.bytes(header.userStateBytes));
    return this.#go(reader.offset, ended, { kind: 'userState', bytes });
  }

  #peek(): number {
    return new RawReader(this.#bytes).byte();
  }
}

const ended = (): 'end' => 'end';

/** A frame for a connection, made in steps: call until it returns one. `dialled`: only who opened the connection says the label. */
export function* sealStream(
  plain: Uint8Array,
  options: WireOptions,
  dialled: boolean,
): Generator<undefined, Uint8Array> {
  const { label, keyring, compress } = options;
  let frame = plain;
  if (compress) {
    const encoder = new LzwEncoder(plain);
    let bytes = encoder.step(BYTES_PER_STEP);
    for (; !bytes; bytes = encoder.step(BYTES_PER_STEP)) yield undefined;
    const writer = new RawWriter().byte(MessageType.compress);
    packed.write(writer, { algorithm: 0, bytes });
    frame = writer.written;
  }
  if (keyring) {
    const header = Buffer.alloc(ENCRYPT_HEADER_BYTES);
    header.writeUInt8(MessageType.encrypt);
    header.writeUInt32BE(frame.length + ENCRYPTION_BYTES, 1);
    frame = Buffer.concat([header, keyring.seal(frame, Buffer.concat([header, label]))]);
  }
  return dialled ? Buffer.concat([labelHeader(label), frame]) : new Uint8Array(frame);
}

/** A user message in the form that streams have. */
export function encodeUserStream(payload: Uint8Array): Uint8Array {
  const writer = new RawWriter().byte(MessageType.user);
  userHeader.write(writer, { bytes: payload.length });
  return writer.bytes(payload).finish();
}

/** Tells the other side why it is refused. */
export function encodeRefusal(why: string): Uint8Array {
  const writer = new RawWriter().byte(MessageType.error);
  refusal.write(writer, { why });
  return writer.finish();
}
