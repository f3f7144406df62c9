import { Tensor as OrtTensor } from 'onnxruntime-node';

import { invalidArgument } from '../../../runtime/errors.js';
import { joinBytes, splitBytes } from './data.js';
import type { Datatype, NamedTensor } from './tensor.js';

type NumberArray =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float32Array
  | Float64Array;

interface NumericArray {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumberArray;
}

/** How ONNX Runtime calls a datatype, and what its library takes as data. */
const NUMERIC: Readonly<Partial<Record<Datatype, readonly [OrtTensor.Type, NumericArray]>>> = {
  BOOL: ['bool', Uint8Array],
  UINT8: ['uint8', Uint8Array],
  UINT16: ['uint16', Uint16Array],
  UINT32: ['uint32', Uint32Array],
  UINT64: ['uint64', BigUint64Array],
  INT8: ['int8', Int8Array],
  INT16: ['int16', Int16Array],
  INT32: ['int32', Int32Array],
  INT64: ['int64', BigInt64Array],
  // Its bits: JavaScript of Node.js 20 has no such numbers.
  FP16: ['float16', Uint16Array],
  FP32: ['float32', Float32Array],
  FP64: ['float64', Float64Array],
};

const DATATYPE_OF = new Map<string, Datatype>([
  ...(Object.entries(NUMERIC) as [Datatype, [string, unknown]][]).map(
    ([datatype, [type]]): [string, Datatype] => [type, datatype],
  ),
  ['string', 'BYTES'],
]);

/** A constructor for any type and data; the library's own overloads want the type known at compile time. */
const MakeTensor = OrtTensor as unknown as new (
  type: OrtTensor.Type,
  data: NumberArray | readonly string[],
  shape: readonly number[],
) => OrtTensor;

/**
 * A tensor for ONNX Runtime, over the same memory where its alignment allows. Throws INVALID_ARGUMENT, reason BAD_TENSOR: BF16, which the library can't take,
 * and BYTES that are no UTF-8 or have a zero byte, as it takes texts. Sizes have been checked before; see `checkTensor`.
 */
export function toOrt({ name, datatype, shape, data }: NamedTensor): OrtTensor {
  if (datatype === 'BYTES') return new MakeTensor('string', stringsOf(data, name), shape);
  const numeric = NUMERIC[datatype];
  if (!numeric)
    throw invalidArgument(
      name,
      `${datatype} can't be handed to the runtime, convert it to FP32`,
      'BAD_TENSOR',
    );
  return new MakeTensor(numeric[0], asArray(data, numeric[1]), shape);
}

/** A tensor out of ONNX Runtime, over the same memory where it is numbers. */
export function fromOrt(name: string, tensor: OrtTensor): NamedTensor {
  const datatype = DATATYPE_OF.get(tensor.type);
  if (datatype === undefined)
    throw new Error(`output ${name} is ${tensor.type}, which no datatype of the protocol is`);
  return { name, datatype, shape: tensor.dims, data: bytesOf(tensor.data) };
}

/** The bytes of a tensor's data: a view of numbers, strings as BYTES. */
function bytesOf(data: OrtTensor['data']): Uint8Array {
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const encoder = new TextEncoder();
  return joinBytes((data as readonly string[]).map((text) => encoder.encode(text)));
}

function asArray(data: Uint8Array, View: NumericArray): NumberArray {
  const length = data.byteLength / View.BYTES_PER_ELEMENT;
  // What doesn't start at a multiple of its elements is copied to where it does.
  const { buffer, byteOffset } =
    data.byteOffset % View.BYTES_PER_ELEMENT === 0 ? data : new Uint8Array(data);
  return new View(buffer, byteOffset, length);
}

function stringsOf(data: Uint8Array, name: string): string[] {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const refused = (index: number, what: string): Error =>
    invalidArgument(
      name,
      `element ${String(index)} ${what}, the runtime takes BYTES as text`,
      'BAD_TENSOR',
    );
  return splitBytes(data, name).map((element, index) => {
    // It would end the text there.
    if (element.includes(0)) throw refused(index, 'has a zero byte');
    try {
      return decoder.decode(element);
    } catch (error) {
      throw error instanceof TypeError ? refused(index, 'is no UTF-8') : error;
    }
  });
}
