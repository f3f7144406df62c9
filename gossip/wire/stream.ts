import type { Budget } from './budget.js';
import { ENCRYPTION_BYTES } from './keyring.js';
import { checkLabel, labelHeader } from './label.js';
import {
  MAX_FRAME_BYTES,
  MAX_HEADER_BYTES,
  MAX_MEMBER_BYTES,
  MAX_PAYLOAD_BYTES,
  MAX_REFUSAL_BYTES,
  MAX_UNPACKED_BYTES,
  MAX_USER_BYTES,
} from './limits.js';
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

/** What arrives over a TCP connection, in this order: a message alone, or a header, the members that it announces (a `problem` for each that is none: the others count), and the state of the delegate. */
export type StreamItem =
  | { readonly kind: 'message'; readonly message: Message }
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'header'; readonly header: PushPullHeader }
  | { readonly kind: 'member'; readonly member: RemoteMember }
  | { readonly kind: 'problem'; readonly problem: WireError }
  | { readonly kind: 'userState'; readonly bytes: Uint8Array };

const ENCRYPT_HEADER_BYTES = 5;
/** What a member that was read costs in memory, beside its bytes. */
const MEMBER_OBJECT_BYTES = 512;
/** Packed codes, or bytes to pack, of one step: about half a millisecond. */
const CODES_PER_STEP = 4096;
const BYTES_PER_STEP = 8192;

const packed = packedCodec(MAX_FRAME_BYTES);
const refusal = record<{ readonly why: string }>({ why: ['Error', text(MAX_REFUSAL_BYTES)] });
const userHeader = record<{ readonly bytes: number }>({
  bytes: ['UserMsgLen', uint(MAX_USER_BYTES)],
});

/** Bytes as they arrive, joined when they are looked at. */
class Gathered {
  #chunks: Uint8Array[] = [];
  length = 0;

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.length += chunk.length;
  }

  get bytes(): Uint8Array {
    const [first = NOTHING] = this.#chunks;
    if (this.#chunks.length <= 1) return first;
    const joined = Buffer.concat(this.#chunks, this.length);
    this.#chunks = [joined];
    return joined;
  }

  replace(bytes: Uint8Array): void {
    this.#chunks = [bytes];
    this.length = bytes.length;
  }
}

type Work = () => StreamItem | 'more' | 'end';

/**
 * What a connection carries, decoded as it arrives. Nobody ends a frame: neither side closes its half, and a plain frame has no total length. Feed it with `push`, then take
 * with `next` until it wants more; each call does a bounded piece of work, so that a large exchange never holds the event loop. It gathers no more than what it reads next may
 * have, and counts what it holds against a budget that is shared with other connections: `release` when it is not read any more.
 */
export class StreamDecoder {
  readonly #options: WireOptions;
  readonly #budget: Budget | undefined;
  readonly #in = new Gathered();
  /** No use to try with fewer. */
  #needed = 1;
  /** What is read now is never longer. */
  #limit = MAX_HEADER_BYTES;
  #pushed = 0;
  #held = 0;
  /** What is read came out of a frame: it is all there. */
  #whole = false;
  #work: Work;

  constructor(options: WireOptions, budget?: Budget) {
    this.#options = options;
    this.#budget = budget;
    this.#work = () => this.#label();
  }

  /** Keeps the chunk. Throws a WireError beyond what one connection, or all together, may hold. */
  push(chunk: Uint8Array): void {
    this.#pushed += chunk.length;
    if (this.#pushed > MAX_UNPACKED_BYTES)
      throw new WireError('too_large', `more than ${String(MAX_UNPACKED_BYTES)} bytes were said`);
    this.#hold(chunk.length);
    this.#in.push(chunk);
  }

  /** The next item; `more` = call again, when the event loop had its turn; `wait` = push first; `end` = nothing else is expected. Throws a WireError. */
  next(): StreamItem | 'more' | 'wait' | 'end' {
    if (this.#in.length < this.#needed) return 'wait';
    try {
      return this.#work();
    } catch (error) {
      if (!(error instanceof WireError) || error.problem !== 'truncated' || this.#whole)
        throw error;
      this.#needed = Math.max(error.neededBytes, this.#in.length + 1);
      if (this.#needed > this.#limit)
        throw new WireError(
          'too_large',
          `a piece of ${String(this.#needed)} bytes, at most ${String(this.#limit)}`,
        );
      return 'wait';
    }
  }

  /** Gives back what it took from the budget. Idempotent. */
  release(): void {
    this.#budget?.give(this.#held);
    this.#held = 0;
  }

  #hold(bytes: number): void {
    this.#budget?.take(bytes);
    this.#held += bytes;
  }

  /** Continues with this work, on at most `limit` bytes, behind so many. */
  #go<T>(consumed: number, limit: number, work: Work, item: T): T {
    if (consumed > 0) this.#in.replace(this.#in.bytes.subarray(consumed));
    this.#needed = 0;
    this.#limit = limit;
    this.#work = work;
    return item;
  }

  /** Continues with this work on what was in a frame. */
  #within(bytes: Uint8Array, limit: number, work: Work): 'more' {
    this.#in.replace(bytes);
    this.#whole = true;
    return this.#go(0, limit, work, 'more');
  }

  #label(): 'more' {
    const { label, expectsLabel = true } = this.#options;
    const length = expectsLabel ? checkLabel(this.#in.bytes, label) : 0;
    const limit = ENCRYPT_HEADER_BYTES + MAX_FRAME_BYTES;
    this.#go(length, limit, () => this.#envelope(), 0);
    this.#needed = 1;
    return 'more';
  }

  #envelope(): 'more' {
    const { bytes } = this.#in;
    const { keyring, verifyIncoming, label } = this.#options;
    if (bytes[0] !== MessageType.encrypt) {
      if (keyring && verifyIncoming)
        throw new WireError('forbidden', 'it is plain, this cluster encrypts');
      return this.#go(0, PACKED_LIMIT, () => this.#maybePacked(), 'more');
    }
    if (!keyring) throw new WireError('forbidden', 'it is encrypted, this cluster has no key');
    const reader = new RawReader(bytes, 1);
    const length = reader.uint32();
    if (length > MAX_FRAME_BYTES)
      throw new WireError('too_large', `an encrypted frame of ${String(length)} bytes`);
    const sealed = reader.bytes(length);
    const header = bytes.subarray(0, ENCRYPT_HEADER_BYTES);
    this.#hold(length);
    const opening = keyring.opening(sealed, Buffer.concat([header, label]));
    const open = (): 'more' => {
      const step = opening.next();
      if (step.done !== true) return 'more';
      return this.#within(step.value, PACKED_LIMIT, () => this.#maybePacked());
    };
    return this.#go(0, 0, open, 'more');
  }

  #maybePacked(): 'more' {
    const { bytes } = this.#in;
    if (bytes[0] !== MessageType.compress)
      return this.#go(0, MAX_HEADER_BYTES, () => this.#message(), 'more');
    const frame = packed.read(new RawReader(bytes, 1));
    checkAlgorithm(frame);
    const decoder = new LzwDecoder(frame.bytes, MAX_UNPACKED_BYTES);
    const unpack = (): 'more' => {
      const plain = decoder.step(CODES_PER_STEP);
      this.#hold(decoder.grown());
      return plain ? this.#within(plain, MAX_HEADER_BYTES, () => this.#message()) : 'more';
    };
    return this.#go(0, 0, unpack, 'more');
  }

  #message(): StreamItem | 'more' {
    const { bytes } = this.#in;
    const reader = new RawReader(bytes);
    const type = reader.byte();
    switch (type) {
      case MessageType.pushPull: {
        const header = readHeader(reader);
        const item = { kind: 'header', header } as const;
        return this.#next(reader.offset, header, 0, item);
      }
      case MessageType.error: {
        const { why } = refusal.read(reader);
        return this.#go(reader.offset, 0, ended, { kind: 'refused', why });
      }
      case MessageType.user: {
        const header = userHeader.read(reader);
        return this.#go(reader.offset, header.bytes, () => this.#userMessage(header.bytes), 'more');
      }
      case MessageType.ping:
      case MessageType.ack: {
        this.#limit = MAX_PAYLOAD_BYTES + MAX_HEADER_BYTES;
        reader.skip();
        const message = decodeMessage(bytes.subarray(0, reader.offset));
        return this.#go(reader.offset, 0, ended, { kind: 'message', message });
      }
      default:
        throw malformed(`a stream doesn't begin with type ${String(type)}`);
    }
  }

  #userMessage(length: number): StreamItem {
    const payload = new Uint8Array(new RawReader(this.#in.bytes).bytes(length));
    const item = { kind: 'message', message: { kind: 'user', payload } } as const;
    return this.#go(length, 0, ended, item);
  }

  /** Continues behind so many bytes with the member at this place, or with what follows the last one. */
  #next<T>(consumed: number, header: PushPullHeader, index: number, item: T): T {
    return index < header.members
      ? this.#go(consumed, MAX_MEMBER_BYTES, () => this.#member(header, index), item)
      : this.#go(consumed, header.userStateBytes, () => this.#userState(header), item);
  }

  #member(header: PushPullHeader, index: number): StreamItem {
    const reader = new RawReader(this.#in.bytes);
    const item = memberOrProblem(reader);
    this.#hold(MEMBER_OBJECT_BYTES);
    return this.#next(reader.offset, header, index + 1, item);
  }

  #userState({ userStateBytes }: PushPullHeader): StreamItem {
    const bytes = new Uint8Array(new RawReader(this.#in.bytes).bytes(userStateBytes));
    return this.#go(userStateBytes, 0, ended, { kind: 'userState', bytes });
  }
}

const NOTHING = new Uint8Array();
/** With what stands around the packed bytes. */
const PACKED_LIMIT = MAX_FRAME_BYTES + MAX_HEADER_BYTES;
/** Somebody told the other side nonsense of a member: that must not keep us from hearing the rest. */
function memberOrProblem(reader: RawReader): StreamItem {
  const at = reader.offset;
  try {
    return { kind: 'member', member: readMember(reader) };
  } catch (error) {
    if (!(error instanceof WireError) || error.problem === 'truncated') throw error;
    reader.offset = at;
    reader.skip();
    return { kind: 'problem', problem: error };
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
    const sealed = yield* keyring.sealing(frame, Buffer.concat([header, label]));
    frame = Buffer.concat([header, sealed]);
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
