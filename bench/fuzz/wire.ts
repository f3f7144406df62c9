/** Pieces of protobuf, right or wrong. */

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const GROUP = 3;
export const FIXED32 = 5;

const LONGEST_VARINT = 10;

/** Any whole number from 0 to below 2^70: more than fits into 64 bits is what some readers stumble over. */
export function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let left = value;
  while (left > 127n && bytes.length < LONGEST_VARINT - 1) {
    bytes.push(Number(left & 127n) | 128);
    left >>= 7n;
  }
  bytes.push(Number(left & 127n));
  return Buffer.from(bytes);
}

export const tag = (field: number, type: number): Buffer =>
  varint((BigInt(field) << 3n) | BigInt(type));

export const bytesField = (field: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([tag(field, BYTES), varint(BigInt(bytes.length)), bytes]);

export const numberField = (field: number, value: bigint): Buffer =>
  Buffer.concat([tag(field, VARINT), varint(value)]);

export function doubleField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(field, FIXED64), bytes]);
}

export function floatField(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([tag(field, FIXED32), bytes]);
}

/** A message around nothing, so many levels deep, through these fields in turn. */
export function nested(fields: readonly number[], levels: number): Buffer {
  const tags = fields.map((field) => tag(field, BYTES));
  const heads: Buffer[] = [];
  let length = 0;
  for (let level = levels - 1; level >= 0; level--) {
    const own = tags[level % tags.length] ?? Buffer.alloc(0);
    const size = varint(BigInt(length));
    heads.push(size, own);
    length += own.length + size.length;
  }
  return Buffer.concat(heads.reverse());
}

/** One top-level field as it stands on the wire. */
export interface RawField {
  readonly field: number;
  readonly type: number;
  /** Tag, length and all. */
  readonly whole: Buffer;
  /** Of those with a length, what is in it. */
  readonly content: Buffer;
}

/** Takes a message that is right apart into its fields. */
export function fieldsOf(message: Uint8Array): RawField[] {
  const bytes = Buffer.from(message);
  const fields: RawField[] = [];
  let at = 0;
  const read = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const from = at;
    const head = read();
    const type = Number(head & 7n);
    let length = 0;
    if (type === BYTES) length = Number(read());
    else if (type === VARINT) read();
    else length = type === FIXED64 ? 8 : 4;
    const content = bytes.subarray(at, at + length);
    at += length;
    fields.push({ field: Number(head >> 3n), type, whole: bytes.subarray(from, at), content });
  }
  return fields;
}
