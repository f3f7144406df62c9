import { limitExceeded } from '../../runtime/errors.js';
import type { Budget } from './budget.js';
import { ByteSlabs } from './byte-slabs.js';
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
import { LzwDecoder } from './lzw-decoder.js';
import { LzwEncoder } from './lzw-encoder.js';
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
/** Packed codes, or bytes to pack, of one step: a twentieth of a millisecond, and about one where the code was never run before. */
const CODES_PER_STEP = 512;
const BYTES_PER_STEP = 1024;
/** What is unpacked is read as soon as there is so much, bytes: all of it in one piece would have to be moved as it grows. */
const UNPACKED_PIECE_BYTES = 16 * 1024;

const packed = packedCodec(MAX_FRAME_BYTES);
const refusal = record<{ readonly why: string }>({ why: ['Error', text(MAX_REFUSAL_BYTES)] });
const userHeader = record<{ readonly bytes: number }>({
  bytes: ['UserMsgLen', uint(MAX_USER_BYTES)],
});

/** Bytes as they arrive, joined when they are looked at. */
class Gathered {
  #pending: Uint8Array[] = [];
  #joined: Uint8Array = NOTHING;
  readonly #slabs = new ByteSlabs();
  #reader = new RawReader(NOTHING);
  /** So many of those that are joined were consumed. */
  #start = 0;
  length = 0;

  push(chunk: Uint8Array): void {
    this.#pending.push(chunk);
    this.length += chunk.length;
  }

  /** Where the first that was not consumed stands for `reader`. */
  get start(): number {
    return this.#start;
  }

  /** Of all that was not consumed, from its start on. The same one each time, as there are thousands of times. */
  get reader(): RawReader {
    if (this.#pending.length > 0) this.#join();
    this.#reader.offset = this.#start;
    return this.#reader;
  }

  get bytes(): Uint8Array {
    if (this.#pending.length > 0) this.#join();
    return this.#start === 0 ? this.#joined : this.#joined.subarray(this.#start);
  }

  consume(bytes: number): void {
    this.#start += bytes;
    this.length -= bytes;
  }

  replace(bytes: Uint8Array): void {
    this.#pending = [];
    this.#joined = bytes;
    this.#reader = new RawReader(bytes, 0, this.#slabs);
    this.#start = 0;
    this.length = bytes.length;
  }

  #join(): void {
    const [first = NOTHING] = this.#pending;
    const rest = this.#joined.subarray(this.#start);
    const isAlone = this.#pending.length === 1 && rest.length === 0;
    this.replace(isAlone ? first : Buffer.concat([rest, ...this.#pending], this.length));
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
  /** All that is to be read is there, or waits to be unpacked. */
  #framed = false;
  #unpacker: LzwDecoder | undefined;
  #membersLeft = 0;
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
    // What comes behind a frame is no part of it.
    if (this.#framed) return;
    this.#hold(chunk.length);
    this.#in.push(chunk);
  }

  /** The next item; `more` = call again, when the event loop had its turn; `wait` = push first; `end` = nothing else is expected. Throws a WireError. */
  next(): StreamItem | 'more' | 'wait' | 'end' {
    if (this.#in.length < this.#needed) return this.#unpackMore() ? 'more' : 'wait';
    try {
      return this.#work();
    } catch (error) {
      if (!(error instanceof WireError) || error.problem !== 'truncated') throw error;
      if (this.#framed && !this.#unpacker) throw error;
      this.#needed = Math.max(error.neededBytes - this.#in.start, this.#in.length + 1);
      if (this.#needed > this.#limit)
        throw new WireError(
          'too_large',
          `a piece of ${String(this.#needed)} bytes, at most ${String(this.#limit)}`,
        );
      return this.#unpackMore() ? 'more' : 'wait';
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
    // What was taken out of it is a copy: it need not be kept for that.
    if (work === ended) this.#in.replace(NOTHING);
    else this.#in.consume(consumed);
    this.#needed = 0;
    this.#limit = limit;
    this.#work = work;
    return item;
  }

  /** False where nothing is packed, or all was unpacked: whether that suffices is for the next try to find out. */
  #unpackMore(): boolean {
    const unpacker = this.#unpacker;
    if (!unpacker) return false;
    const isDone = unpacker.step(CODES_PER_STEP);
    if (isDone || unpacker.length >= UNPACKED_PIECE_BYTES) {
      const piece = unpacker.taken(UNPACKED_ROOM_BYTES);
      this.#hold(piece.length);
      this.#in.push(piece);
    }
    if (isDone) {
      this.#unpacker = undefined;
      this.#needed = 0;
    }
    return true;
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
    const { reader } = this.#in;
    reader.offset++;
    const length = reader.uint32();
    if (length > MAX_FRAME_BYTES)
      throw new WireError('too_large', `an encrypted frame of ${String(length)} bytes`);
    const sealed = reader.bytes(length);
    const header = bytes.subarray(0, ENCRYPT_HEADER_BYTES);
    this.#hold(length);
    this.#framed = true;
    const opening = keyring.opening(sealed, Buffer.concat([header, label]));
    const open = (): 'more' => {
      const step = opening.next();
      if (step.done !== true) return 'more';
      this.#in.replace(step.value);
      return this.#go(0, PACKED_LIMIT, () => this.#maybePacked(), 'more');
    };
    return this.#go(0, 0, open, 'more');
  }

  #maybePacked(): 'more' {
    const { reader } = this.#in;
    if (reader.byte() !== MessageType.compress)
      return this.#go(0, MAX_HEADER_BYTES, () => this.#message(), 'more');
    const frame = packed.read(reader);
    checkAlgorithm(frame);
    this.#framed = true;
    this.#unpacker = new LzwDecoder(frame.bytes, MAX_UNPACKED_BYTES, UNPACKED_ROOM_BYTES);
    this.#in.replace(NOTHING);
    this.#go(0, MAX_HEADER_BYTES, () => this.#message(), 0);
    this.#needed = 1;
    return 'more';
  }

  #message(): StreamItem | 'more' {
    const { reader } = this.#in;
    const consumed = (): number => reader.offset - this.#in.start;
    const type = reader.byte();
    switch (type) {
      case MessageType.pushPull: {
        const header = readHeader(reader);
        this.#membersLeft = header.members;
        this.#go(consumed(), MAX_MEMBER_BYTES, () => this.#member(header), 0);
        if (header.members === 0) this.#toUserState(header);
        return { kind: 'header', header };
      }
      case MessageType.error: {
        const { why } = refusal.read(reader);
        return this.#go(consumed(), 0, ended, { kind: 'refused', why });
      }
      case MessageType.user: {
        const header = userHeader.read(reader);
        return this.#go(consumed(), header.bytes, () => this.#userMessage(header.bytes), 'more');
      }
      case MessageType.ping:
      case MessageType.ack: {
        this.#limit = MAX_PAYLOAD_BYTES + MAX_HEADER_BYTES;
        reader.skip();
        const message = decodeMessage(this.#in.bytes.subarray(0, consumed()));
        return this.#go(consumed(), 0, ended, { kind: 'message', message });
      }
      default:
        throw malformed(`a stream doesn't begin with type ${String(type)}`);
    }
  }

  #userMessage(length: number): StreamItem {
    const payload = new Uint8Array(this.#in.reader.bytes(length));
    const item = { kind: 'message', message: { kind: 'user', payload } } as const;
    return this.#go(length, 0, ended, item);
  }

  #member(header: PushPullHeader): StreamItem {
    const { reader } = this.#in;
    const item = memberOrProblem(reader);
    this.#hold(MEMBER_OBJECT_BYTES);
    this.#in.consume(reader.offset - this.#in.start);
    this.#needed = 0;
    this.#membersLeft--;
    if (this.#membersLeft === 0) this.#toUserState(header);
    return item;
  }

  #toUserState(header: PushPullHeader): void {
    this.#go(0, header.userStateBytes, () => this.#userState(header), 0);
  }

  #userState({ userStateBytes }: PushPullHeader): StreamItem {
    const bytes = new Uint8Array(this.#in.reader.bytes(userStateBytes));
    return this.#go(userStateBytes, 0, ended, { kind: 'userState', bytes });
  }
}

const NOTHING = new Uint8Array();
/** A step may bring that much beyond the piece. */
const UNPACKED_ROOM_BYTES = 2 * UNPACKED_PIECE_BYTES;
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

/** Of what stands before packed bytes. */
const PACKED_HEAD_BYTES = 32;

/** A frame for a connection, made in steps: call until it returns one, which may be `plain` itself. `dialled`: only who opened the connection says the label. LIMIT_EXCEEDED where nobody would take it. */
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
    // What is large is moved in steps of its own.
    yield undefined;
    const writer = new RawWriter(bytes.length + PACKED_HEAD_BYTES).byte(MessageType.compress);
    packed.write(writer, { algorithm: 0, bytes });
    // What is noise grows.
    if (writer.written.length < plain.length) frame = checkedFrame(writer.written);
    yield undefined;
  }
  const own = dialled ? labelHeader(label) : NOTHING;
  if (keyring) {
    const header = Buffer.alloc(ENCRYPT_HEADER_BYTES);
    header.writeUInt8(MessageType.encrypt);
    header.writeUInt32BE(frame.length + ENCRYPTION_BYTES, 1);
    const sealed = yield* keyring.sealing(frame, Buffer.concat([header, label]));
    yield undefined;
    return Buffer.concat([own, header, checkedFrame(sealed)]);
  }
  return own.length === 0 ? frame : Buffer.concat([own, frame]);
}

/** What is packed or encrypted has a limit at whoever hears it. */
function checkedFrame(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= MAX_FRAME_BYTES) return bytes;
  throw limitExceeded('MAX_FRAME_BYTES', bytes.length, MAX_FRAME_BYTES, { what: 'a frame' });
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
