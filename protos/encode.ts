import { BinaryWriter } from '@bufbuild/protobuf/wire';

/** A generated message type. */
export interface Encodable<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
}

/** A writer that has grown beyond this is not kept. */
const MAX_KEPT_BYTES = 1024 * 1024;

/** Scratch space of all encodings; empty between calls, which are synchronous and never nested. */
let scratch = new BinaryWriter();

/** Where a writer keeps what it has written; private to it, so it may be missing one day. */
interface Inside {
  readonly buffer?: Uint8Array;
  pos?: number;
}

/**
 * Encodes a message into scratch space and hands what was written to `use`, which must not keep it. A writer's buffer costs more than
 * most of our messages, so one is used for all.
 */
function encodeThen<T, R>(type: Encodable<T>, message: T, use: (bytes: Uint8Array) => R): R {
  const writer = scratch;
  // Whatever goes wrong, half a message must not stay in the scratch space.
  scratch = new BinaryWriter();
  type.encode(message, writer);
  const inside = writer as unknown as Inside;
  const { buffer, pos } = inside;
  if (!(buffer instanceof Uint8Array) || typeof pos !== 'number') return use(writer.finish());
  const result = use(buffer.subarray(0, pos));
  if (pos <= MAX_KEPT_BYTES) {
    inside.pos = 0;
    scratch = writer;
  }
  return result;
}

/** Encodes a message; the bytes are the caller's. Small ones come from Node's buffer pool. */
export function encode<T>(type: Encodable<T>, message: T): Buffer {
  return encodeThen(type, message, copyOf);
}

/** Whether a message is encoded by exactly these bytes. */
export function isEncodedBy<T>(type: Encodable<T>, message: T, bytes: Uint8Array): boolean {
  return encodeThen(type, message, (encoded) => Buffer.compare(encoded, bytes) === 0);
}

function copyOf(bytes: Uint8Array): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length);
  copy.set(bytes);
  return copy;
}
