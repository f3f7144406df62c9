import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { ModelProto, TensorProto_DataType as Type } from '../../../../protos/gen/onnx/onnx.js';
import type { DeepPartial, ValueInfoProto } from '../../../../protos/gen/onnx/onnx.js';
import type { Datatype } from '../../../../services/cnn/tensors/tensor.js';

/** Datatypes that ONNX Runtime's JavaScript takes: all of the protocol but BF16. */
export const SERVED_DATATYPES = {
  BOOL: Type.BOOL,
  UINT8: Type.UINT8,
  UINT16: Type.UINT16,
  UINT32: Type.UINT32,
  UINT64: Type.UINT64,
  INT8: Type.INT8,
  INT16: Type.INT16,
  INT32: Type.INT32,
  INT64: Type.INT64,
  FP16: Type.FLOAT16,
  FP32: Type.FLOAT,
  FP64: Type.DOUBLE,
  BYTES: Type.STRING,
} as const satisfies Partial<Record<Datatype, Type>>;

export type ServedDatatype = keyof typeof SERVED_DATATYPES;

/** A model without a card that yields its input `x` as `y`: a matrix of any size. */
export async function installIdentity(root: string, datatype: ServedDatatype): Promise<void> {
  await install(root, `identity-${datatype}`, {
    node: [{ opType: 'Identity', input: ['x'], output: ['y'] }],
    input: [value('x', datatype, ['rows', 'columns'])],
    output: [value('y', datatype, ['rows', 'columns'])],
  });
}

/** A model with two inputs and two outputs: `sum` = a + b, `negative` = -b. */
export async function installArithmetic(root: string): Promise<void> {
  await install(root, 'arithmetic', {
    node: [
      { opType: 'Add', input: ['a', 'b'], output: ['sum'] },
      { opType: 'Neg', input: ['b'], output: ['negative'] },
    ],
    input: [value('a', 'FP32', ['n', 2]), value('b', 'FP32', ['n', 2])],
    output: [value('sum', 'FP32', ['n', 2]), value('negative', 'FP32', ['n', 2])],
  });
}

async function install(
  root: string,
  name: string,
  graph: DeepPartial<ModelProto['graph']>,
): Promise<void> {
  const model = ModelProto.fromPartial({
    ...{ irVersion: 8n, producerName: 'a test', opsetImport: [{ version: 17n }] },
    graph: { name, ...graph },
  });
  const folder = path.join(root, name, '1');
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'model.onnx'), ModelProto.encode(model).finish());
}

function value(
  name: string,
  datatype: ServedDatatype,
  shape: readonly (string | number)[],
): DeepPartial<ValueInfoProto> {
  const dim = shape.map((size) => ({
    value:
      typeof size === 'string'
        ? { $case: 'dimParam' as const, value: size }
        : { $case: 'dimValue' as const, value: BigInt(size) },
  }));
  const tensor = { elemType: SERVED_DATATYPES[datatype], shape: { dim } };
  return { name, type: { value: { $case: 'tensorType', value: tensor } } };
}
