import { TensorProto, TensorProto_DataType } from '../../../protos/gen/onnx/onnx.js';

/** A constant of 32-bit floats. The bytes are copied. */
export function floats(
  name: string,
  shape: readonly number[],
  values: ArrayLike<number>,
): TensorProto {
  return tensor(name, shape, TensorProto_DataType.FLOAT, Float32Array.from(values));
}

/** A constant of 64-bit integers: shapes, axes and positions are such. */
export function integers(
  name: string,
  shape: readonly number[],
  values: readonly number[],
): TensorProto {
  const numbers = BigInt64Array.from(values, (value) => BigInt(value));
  return tensor(name, shape, TensorProto_DataType.INT64, numbers);
}

/** Raw data is little-endian, as is every machine that Node.js runs on but one (s390x: not supported). */
function tensor(
  name: string,
  shape: readonly number[],
  dataType: TensorProto_DataType,
  values: Float32Array | BigInt64Array,
): TensorProto {
  const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return TensorProto.fromPartial({ name, dims: shape.map(BigInt), dataType, rawData });
}
