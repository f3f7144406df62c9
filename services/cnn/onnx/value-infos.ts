import { TensorProto_DataType, ValueInfoProto } from '../../../protos/gen/onnx/onnx.js';

/** A dimension is a number, or the name of one that is free. */
export type Dimension = number | string;

/** Name, element type and shape of an input or output. */
export function valueInfo(
  name: string,
  dimensions: readonly Dimension[],
  elementType: TensorProto_DataType = TensorProto_DataType.FLOAT,
): ValueInfoProto {
  const dim = dimensions.map((size) => ({
    value:
      typeof size === 'number'
        ? { $case: 'dimValue' as const, value: BigInt(size) }
        : { $case: 'dimParam' as const, value: size },
  }));
  return ValueInfoProto.fromPartial({
    name,
    type: { value: { $case: 'tensorType', value: { elemType: elementType, shape: { dim } } } },
  });
}
