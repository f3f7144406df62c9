import type { InferTensorContents } from '../../../protos/gen/inference/grpc_service.js';
import { invalidArgument } from '../../../runtime/errors.js';
import { joinBytes, splitBytes } from '../../../services/cnn/tensors/data.js';
import type { Datatype, Tensor } from '../../../services/cnn/tensors/tensor.js';

/** The elements of a tensor as numbers, truth values or bytes in a field of their own, instead of raw bytes. Pure. */

type Field = keyof InferTensorContents;
type Written = Exclude<Datatype, 'FP16' | 'BF16'>;

/** Field of each datatype, as the protocol names it. */
const FIELDS: Readonly<Record<Written, readonly [Field, string]>> = {
  BOOL: ['boolContents', 'bool_contents'],
  INT8: ['intContents', 'int_contents'],
  INT16: ['intContents', 'int_contents'],
  INT32: ['intContents', 'int_contents'],
  INT64: ['int64Contents', 'int64_contents'],
  UINT8: ['uintContents', 'uint_contents'],
  UINT16: ['uintContents', 'uint_contents'],
  UINT32: ['uintContents', 'uint_contents'],
  UINT64: ['uint64Contents', 'uint64_contents'],
  FP32: ['fp32Contents', 'fp32_contents'],
  FP64: ['fp64Contents', 'fp64_contents'],
  BYTES: ['bytesContents', 'bytes_contents'],
};
const NAMES = new Map<string, string>(Object.values(FIELDS));

/** Whether tensors of this datatype can travel typed at all. */
export function isTyped(datatype: Datatype): datatype is Written {
  return Object.hasOwn(FIELDS, datatype);
}

/** Whether any field has elements. */
export function hasElements(contents: InferTensorContents | undefined): boolean {
  return contents !== undefined && filledFields(contents).length > 0;
}

/**
 * The elements as raw data. Throws BAD_TENSOR for elements in a field of another datatype, or out of its range; `field` names the tensor. How many there
 * are is not checked.
 */
export function rawFromTyped(
  datatype: Datatype,
  contents: InferTensorContents | undefined,
  field: string,
): Uint8Array {
  if (!isTyped(datatype))
    throw invalidArgument(field, `${datatype} travels in raw_input_contents only`, 'BAD_TENSOR');
  if (!contents) return new Uint8Array();
  const [expected, name] = FIELDS[datatype];
  const other = filledFields(contents).find((one) => one !== expected);
  if (other)
    throw invalidArgument(
      field,
      `elements of ${datatype} stand in ${name}, found some in ${NAMES.get(other) ?? other}`,
      'BAD_TENSOR',
    );
  return dataOf(datatype, contents, field);
}

function dataOf(datatype: Written, contents: InferTensorContents, field: string): Uint8Array {
  const { intContents: ints, uintContents: uints } = contents;
  switch (datatype) {
    case 'BOOL':
      return Uint8Array.from(contents.boolContents, Number);
    case 'INT8':
      return bytesOf(Int8Array.from(ranged(ints, -128, 127, datatype, field)));
    case 'INT16':
      return bytesOf(Int16Array.from(ranged(ints, -32_768, 32_767, datatype, field)));
    case 'INT32':
      return bytesOf(Int32Array.from(ints));
    case 'INT64':
      return bytesOf(BigInt64Array.from(contents.int64Contents));
    case 'UINT8':
      return Uint8Array.from(ranged(uints, 0, 255, datatype, field));
    case 'UINT16':
      return bytesOf(Uint16Array.from(ranged(uints, 0, 65_535, datatype, field)));
    case 'UINT32':
      return bytesOf(Uint32Array.from(uints));
    case 'UINT64':
      return bytesOf(BigUint64Array.from(contents.uint64Contents));
    case 'FP32':
      return bytesOf(Float32Array.from(contents.fp32Contents));
    case 'FP64':
      return bytesOf(Float64Array.from(contents.fp64Contents));
    case 'BYTES':
      return joinBytes(contents.bytesContents);
  }
}

/** The elements of a tensor in the field of its datatype. */
export function typedFromRaw({ datatype, data }: Tensor): InferTensorContents {
  const empty = emptyContents();
  switch (datatype) {
    case 'BOOL':
      return { ...empty, boolContents: Array.from(data, (byte) => byte !== 0) };
    case 'INT8':
      return { ...empty, intContents: Array.from(new Int8Array(...aligned(data, 1))) };
    case 'INT16':
      return { ...empty, intContents: Array.from(new Int16Array(...aligned(data, 2))) };
    case 'INT32':
      return { ...empty, intContents: Array.from(new Int32Array(...aligned(data, 4))) };
    case 'INT64':
      return { ...empty, int64Contents: Array.from(new BigInt64Array(...aligned(data, 8))) };
    case 'UINT8':
      return { ...empty, uintContents: Array.from(data) };
    case 'UINT16':
      return { ...empty, uintContents: Array.from(new Uint16Array(...aligned(data, 2))) };
    case 'UINT32':
      return { ...empty, uintContents: Array.from(new Uint32Array(...aligned(data, 4))) };
    case 'UINT64':
      return { ...empty, uint64Contents: Array.from(new BigUint64Array(...aligned(data, 8))) };
    case 'FP32':
      return { ...empty, fp32Contents: Array.from(new Float32Array(...aligned(data, 4))) };
    case 'FP64':
      return { ...empty, fp64Contents: Array.from(new Float64Array(...aligned(data, 8))) };
    case 'BYTES':
      return { ...empty, bytesContents: splitBytes(data, 'output') };
    case 'FP16':
    case 'BF16':
      throw new Error(`${datatype} has no typed form`);
  }
}

function filledFields(contents: InferTensorContents): Field[] {
  return (Object.keys(contents) as Field[]).filter((field) => contents[field].length > 0);
}

function ranged(
  values: readonly number[],
  least: number,
  most: number,
  datatype: Datatype,
  field: string,
): readonly number[] {
  const index = values.findIndex((value) => value < least || value > most);
  if (index < 0) return values;
  throw invalidArgument(
    field,
    `element ${String(index)} is ${String(values[index])}, ${datatype} goes from ${String(least)} to ${String(most)}`,
    'BAD_TENSOR',
  );
}

/** ONNX Runtime runs on little-endian machines only, so the machine's order is the protocol's. */
function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Arguments of a typed array over the same bytes, which are copied where they don't begin at a multiple of the element's size. */
function aligned(data: Uint8Array, size: number): [ArrayBufferLike, number, number] {
  const { buffer, byteOffset, length } =
    data.byteOffset % size === 0 ? data : Uint8Array.from(data);
  return [buffer, byteOffset, length / size];
}

function emptyContents(): InferTensorContents {
  return {
    boolContents: [],
    intContents: [],
    int64Contents: [],
    uintContents: [],
    uint64Contents: [],
    fp32Contents: [],
    fp64Contents: [],
    bytesContents: [],
  };
}
