import { Hello, ReadRequest, TransferEnd } from '../../../../protos/gen/fractory/v1/controller.js';
import { Status } from '../../../../protos/gen/google/rpc/status.js';
import { encode } from '../../../../protos/encode.js';
import { toRpcStatus } from '../../../../protos/status.js';
import { encodeFrame, FramingError } from './framing.js';

/** Bytes of the key by which a controller shows that it belongs to the data center. */
const KEY_BYTES = 32;

/** Who speaks, and the proof that it belongs to the data center. */
export interface Greeting {
  readonly key: Uint8Array;
  readonly hello: Hello;
}

export function greetingFrame({ key, hello }: Greeting): Buffer {
  return encodeFrame('hello', Buffer.concat([key, encode(Hello, hello)]));
}

export function decodeGreeting(payload: Uint8Array): Greeting {
  if (payload.length < KEY_BYTES) throw new FramingError('a hello without a key');
  const hello = decoded('hello', payload.subarray(KEY_BYTES), (bytes) => Hello.decode(bytes));
  return { key: payload.slice(0, KEY_BYTES), hello };
}

export const readFrame = (request: ReadRequest): Buffer =>
  encodeFrame('read', encode(ReadRequest, request));

export const decodeRead = (payload: Uint8Array): ReadRequest =>
  decoded('read', payload, (bytes) => ReadRequest.decode(bytes));

/** The read was admitted and will bring so many bytes. */
export function beginFrame(sizeBytes: number): Buffer {
  const payload = Buffer.allocUnsafe(8);
  payload.writeBigUInt64BE(BigInt(sizeBytes));
  return encodeFrame('begin', payload);
}

export function decodeBegin(payload: Uint8Array): number {
  if (payload.length !== 8) throw new FramingError('a begin without a size');
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return Number(view.getBigUint64(0));
}

export const endFrame = (end: TransferEnd): Buffer => encodeFrame('end', encode(TransferEnd, end));

export const decodeEnd = (payload: Uint8Array): TransferEnd =>
  decoded('end', payload, (bytes) => TransferEnd.decode(bytes));

/** Why a read was not admitted, or ends early. */
export const statusFrame = (error: unknown): Buffer =>
  encodeFrame('status', encode(Status, toRpcStatus(error)));

export const decodeStatus = (payload: Uint8Array): Status =>
  decoded('status', payload, (bytes) => Status.decode(bytes));

function decoded<T>(kind: string, payload: Uint8Array, decode: (bytes: Uint8Array) => T): T {
  try {
    return decode(payload);
  } catch {
    // Which byte it was helps nobody: the other end is not one of ours.
    throw new FramingError(`a ${kind} that is not readable`);
  }
}
