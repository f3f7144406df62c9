/**
 * The wire format of the bulk data path: frames of one byte kind, four bytes length (big-endian), payload. A connection begins with a `hello` in each
 * direction; then `read` is answered by `begin`, chunks and `end`, or at any point between two frames by `status`.
 */
export const FRAME_KINDS = ['hello', 'read', 'begin', 'chunk', 'end', 'status'] as const;

export type FrameKind = (typeof FRAME_KINDS)[number];

const HEADER_BYTES = 5;
/** Largest chunk, bytes. */
export const MAX_CHUNK_BYTES = 1024 * 1024;

/** Longest payloads, bytes; what is longer is garbage. */
const MAX_PAYLOAD_BYTES: Readonly<Record<FrameKind, number>> = {
  hello: 1024,
  read: 64 * 1024,
  begin: 8,
  chunk: MAX_CHUNK_BYTES,
  end: 256,
  status: 64 * 1024,
};

/** Bytes that are not frames, or not the frames that may come now: nothing more can be understood. */
export class FramingError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FramingError';
  }
}

/** Takes frames. What it throws comes out of `advance`. */
export interface FrameTarget {
  /** Lends exactly `length` > 0 bytes of memory for the payload of a frame. */
  room(kind: FrameKind, length: number): Uint8Array;
  /** A frame is complete; `payload` is the memory that was lent, or empty. */
  frame(kind: FrameKind, payload: Uint8Array): void;
}

/** The header of a frame. */
export function frameHeader(kind: FrameKind, payloadBytes: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header[0] = FRAME_KINDS.indexOf(kind) + 1;
  header.writeUInt32BE(payloadBytes, 1);
  return header;
}

/** A short frame in one piece. */
export function encodeFrame(kind: FrameKind, payload: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(kind, payload.length), payload]);
}

const EMPTY = new Uint8Array(0);

/**
 * Parses a stream of frames, however it is split. Pulled: it says where the next bytes belong (`room`), so that a socket writes a chunk to where it
 * stays, and hears how many came (`advance`).
 */
export class FrameParser {
  readonly #target: FrameTarget;
  readonly #header = Buffer.allocUnsafe(HEADER_BYTES);
  #kind: FrameKind | undefined;
  #space: Uint8Array = this.#header;
  #filled = 0;

  constructor(target: FrameTarget) {
    this.#target = target;
  }

  /** Whether a frame has begun and is not complete. */
  get isInside(): boolean {
    return this.#kind !== undefined || this.#filled > 0;
  }

  /** Where the next bytes belong; never empty. */
  room(): Uint8Array {
    return this.#space.subarray(this.#filled);
  }

  /** That many bytes have been put to `room()`. Throws FramingError, and then is of no use any more. */
  advance(bytes: number): void {
    this.#filled += bytes;
    if (this.#filled < this.#space.length) return;
    if (this.#kind === undefined) this.#begin();
    else this.#complete(this.#kind, this.#space);
  }

  /** Takes bytes that are somewhere else, until `stop` says so after a frame; returns how many it took. */
  feed(bytes: Uint8Array, stop: () => boolean = () => false): number {
    let at = 0;
    while (at < bytes.length && !stop()) {
      const room = this.room();
      const count = Math.min(room.length, bytes.length - at);
      room.set(bytes.subarray(at, at + count));
      at += count;
      this.advance(count);
    }
    return at;
  }

  #begin(): void {
    const number = this.#header[0] ?? 0;
    const kind = FRAME_KINDS[number - 1];
    const length = this.#header.readUInt32BE(1);
    if (!kind) throw new FramingError(`there is no frame of kind ${String(number)}`);
    if (length > MAX_PAYLOAD_BYTES[kind])
      throw new FramingError(
        `a ${kind} frame of ${String(length)} bytes, the limit is ${String(MAX_PAYLOAD_BYTES[kind])}`,
      );
    if (length === 0) {
      this.#complete(kind, EMPTY);
      return;
    }
    this.#kind = kind;
    this.#space = this.#target.room(kind, length);
    this.#filled = 0;
  }

  #complete(kind: FrameKind, payload: Uint8Array): void {
    this.#kind = undefined;
    this.#space = this.#header;
    this.#filled = 0;
    this.#target.frame(kind, payload);
  }
}
