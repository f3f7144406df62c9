import { invalidArgument } from '../runtime/errors.js';
import type { Tensor } from './gen/fractory/v1/value.js';

/** Bytes of one element of the datatypes whose elements have a fixed size; all but BYTES. */
export const ELEMENT_BYTES = {
  BOOL: 1,
  UINT8: 1,
  UINT16: 2,
  UINT32: 4,
  UINT64: 8,
  INT8: 1,
  INT16: 2,
  INT32: 4,
  INT64: 8,
  FP16: 2,
  BF16: 2,
  FP32: 4,
  FP64: 8,
} as const;

/** Datatypes of numbers. */
export type NumericDatatype = keyof typeof ELEMENT_BYTES;

/** Elements of a tensor of this shape. Not a safe integer where the shape is absurd: compare it, don't allocate by it. */
export function elementCount(shape: readonly (bigint | number)[]): number {
  return shape.reduce<number>((count, size) => count * Number(size), 1);
}

/** `[2,3]` */
export function shapeText(shape: readonly (bigint | number)[]): string {
  return `[${shape.join(',')}]`;
}

type Read = (view: DataView, offset: number) => number;

const READERS: Readonly<Record<NumericDatatype, Read>> = {
  BOOL: (view, offset) => (view.getUint8(offset) === 0 ? 0 : 1),
  UINT8: (view, offset) => view.getUint8(offset),
  UINT16: (view, offset) => view.getUint16(offset, true),
  UINT32: (view, offset) => view.getUint32(offset, true),
  UINT64: (view, offset) => Number(view.getBigUint64(offset, true)),
  INT8: (view, offset) => view.getInt8(offset),
  INT16: (view, offset) => view.getInt16(offset, true),
  INT32: (view, offset) => view.getInt32(offset, true),
  INT64: (view, offset) => Number(view.getBigInt64(offset, true)),
  FP16: (view, offset) => half(view.getUint16(offset, true)),
  BF16: (view, offset) => brainFloat(view.getUint16(offset, true)),
  FP32: (view, offset) => view.getFloat32(offset, true),
  FP64: (view, offset) => view.getFloat64(offset, true),
};

/**
 * The elements of a tensor as numbers, row-major; 64-bit integers above 2^53 are rounded. Throws NOT_NUMBERS for BYTES and what is no datatype,
 * BAD_TENSOR where the shape and the bytes disagree; `field` names the tensor in the error.
 */
export function numbersOf(tensor: Tensor, field = 'tensor'): Float64Array {
  const { datatype, data } = tensor;
  if (!isNumeric(datatype))
    throw invalidArgument(field, `${datatype || 'no datatype'} is not numbers`, 'NOT_NUMBERS');
  const size = ELEMENT_BYTES[datatype];
  checkBytes(tensor, size, field);
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const read = READERS[datatype];
  const numbers = new Float64Array(data.length / size);
  for (let index = 0; index < numbers.length; index++) numbers[index] = read(view, index * size);
  return numbers;
}

type Write = (view: DataView, offset: number, number: number) => void;

/** Datatypes that a tensor can be made of numbers in. */
const WRITERS = {
  BOOL: (view, offset, number) => {
    view.setUint8(offset, number === 0 ? 0 : 1);
  },
  UINT8: (view, offset, number) => {
    view.setUint8(offset, number);
  },
  INT8: (view, offset, number) => {
    view.setInt8(offset, number);
  },
  INT32: (view, offset, number) => {
    view.setInt32(offset, number, true);
  },
  INT64: (view, offset, number) => {
    view.setBigInt64(offset, BigInt(number), true);
  },
  FP32: (view, offset, number) => {
    view.setFloat32(offset, number, true);
  },
  FP64: (view, offset, number) => {
    view.setFloat64(offset, number, true);
  },
} satisfies Partial<Record<NumericDatatype, Write>>;

export type WritableDatatype = keyof typeof WRITERS;

/** A tensor of these numbers, row-major. Throws BAD_TENSOR unless there are as many as the shape has elements. */
export function tensorOf(
  datatype: WritableDatatype,
  shape: readonly number[],
  numbers: ArrayLike<number>,
): Tensor {
  const size = ELEMENT_BYTES[datatype];
  const write: Write = WRITERS[datatype];
  const data = new Uint8Array(numbers.length * size);
  const view = new DataView(data.buffer);
  for (let index = 0; index < numbers.length; index++)
    write(view, index * size, numbers[index] ?? 0);
  const tensor = { datatype, shape: shape.map(BigInt), data };
  checkBytes(tensor, size, 'tensor');
  return tensor;
}

function checkBytes({ datatype, shape, data }: Tensor, size: number, field: string): void {
  const expected = elementCount(shape) * size;
  if (data.length === expected && !shape.some((one) => one < 0n)) return;
  throw invalidArgument(
    field,
    `shape ${shapeText(shape)} of ${datatype} is ${String(expected)} bytes, found ${String(data.length)}`,
    'BAD_TENSOR',
  );
}

function isNumeric(datatype: string): datatype is NumericDatatype {
  return Object.hasOwn(ELEMENT_BYTES, datatype);
}

/** IEEE 754 binary16: 5 bits of exponent, 10 of fraction. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const scratch = new DataView(new ArrayBuffer(4));

/** bfloat16: the upper half of a binary32. */
function brainFloat(bits: number): number {
  scratch.setUint32(0, bits * 0x10000);
  return scratch.getFloat32(0);
}
