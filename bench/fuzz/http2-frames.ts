/** HTTP/2 frames, made by hand (RFC 9113), so that they can be wrong. */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  push: 5,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;

export const END_STREAM = 1;
export const ACK = 1;
export const END_HEADERS = 4;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(9);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream >>> 0, 5);
  return Buffer.concat([header, payload]);
}

export const settings = (pairs: readonly (readonly [id: number, value: number])[] = []): Buffer =>
  frame(FRAME.settings, 0, 0, Buffer.concat(pairs.map(([id, value]) => uint(id, value))));

function uint(id: number, value: number): Buffer {
  const pair = Buffer.alloc(6);
  pair.writeUInt16BE(id, 0);
  pair.writeUInt32BE(value, 2);
  return pair;
}

export const window = (stream: number, increment: number): Buffer =>
  frame(FRAME.window, 0, stream, number(increment));

export const reset = (stream: number, code = 8): Buffer =>
  frame(FRAME.reset, 0, stream, number(code));

function number(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** HPACK without a table: literal fields, never indexed. */
export function hpack(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) => Buffer.concat([Buffer.of(0), text(name), text(value)])),
  );
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes]);
  const length: number[] = [127];
  let left = bytes.length - 127;
  while (left >= 128) {
    length.push((left & 127) | 128);
    left >>= 7;
  }
  return Buffer.concat([Buffer.of(...length, left), bytes]);
}

/** The fields of a gRPC call. */
export const callFields = (path: string): (readonly [string, string])[] => [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':path', path],
  [':authority', 'fuzz'],
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
];

export const call = (stream: number, path: string, flags = END_HEADERS): Buffer =>
  frame(FRAME.headers, flags, stream, hpack(callFields(path)));
