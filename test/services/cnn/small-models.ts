import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import {
  AttributeProto_AttributeType,
  ModelProto,
  TensorProto_DataType as Type,
} from '../../../protos/gen/onnx/onnx.js';
import type { ModelSource } from '../../../services/cnn/serving.js';
import type { Datatype, TensorSpec } from '../../../services/cnn/tensors/tensor.js';

const ONNX_TYPE: Readonly<Record<Datatype, Type>> = {
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
  BF16: Type.BFLOAT16,
  FP32: Type.FLOAT,
  FP64: Type.DOUBLE,
  BYTES: Type.STRING,
};

interface Node {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
}

export interface SmallModel {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly nodes: readonly Node[];
  /** Constants: FP32 vectors, or INT64 where they are bigints. */
  readonly constants?: Readonly<Record<string, readonly number[] | readonly bigint[]>>;
}

const spec = (name: string, shape: readonly number[], datatype: Datatype = 'FP32'): TensorSpec => ({
  ...{ name, datatype, shape },
});

/** y = 2 x + 1, whatever stands in a batch with it. */
export const DOUBLING: SmallModel = {
  inputs: [spec('x', [-1, 4])],
  outputs: [spec('y', [-1, 4])],
  nodes: [
    { type: 'Mul', inputs: ['x', 'two'], outputs: ['doubled'] },
    { type: 'Add', inputs: ['doubled', 'one'], outputs: ['y'] },
  ],
  constants: { two: [2], one: [1] },
};

/** Every row is compared with all others: a batch would change the answers. */
export const CENTRING: SmallModel = {
  inputs: [spec('x', [-1, 4])],
  outputs: [spec('y', [-1, 4])],
  nodes: [
    { type: 'ReduceMean', inputs: ['x'], outputs: ['mean'], attributes: { axes: [0] } },
    { type: 'Sub', inputs: ['x', 'mean'], outputs: ['y'] },
  ],
};

/** One row, however many go in, against what its file says. */
export const TOTALLING: SmallModel = {
  inputs: [spec('x', [-1, 4])],
  outputs: [spec('y', [-1, 4])],
  nodes: [{ type: 'ReduceMax', inputs: ['x'], outputs: ['y'], attributes: { axes: [0] } }],
};

/** Looks numbers up in a table of five: another index fails at run time. */
export const LOOKING_UP: SmallModel = {
  inputs: [spec('index', [-1], 'INT64')],
  outputs: [spec('y', [-1])],
  nodes: [{ type: 'Gather', inputs: ['table', 'index'], outputs: ['y'] }],
  constants: { table: [10, 11, 12, 13, 14] },
};

/** Takes as long as its input is large: the sum of x times its transpose. */
export const MULTIPLYING: SmallModel = {
  inputs: [spec('x', [-1, -1])],
  outputs: [spec('y', [1, 1])],
  nodes: [
    { type: 'Transpose', inputs: ['x'], outputs: ['turned'] },
    { type: 'MatMul', inputs: ['x', 'turned'], outputs: ['product'] },
    { type: 'ReduceMax', inputs: ['product'], outputs: ['y'], attributes: { axes: [0, 1] } },
  ],
};

/** `sum` = a + b, `negative` = -b. */
export const ARITHMETIC: SmallModel = {
  inputs: [spec('a', [-1, 2]), spec('b', [-1, 2])],
  outputs: [spec('sum', [-1, 2]), spec('negative', [-1, 2])],
  nodes: [
    { type: 'Add', inputs: ['a', 'b'], outputs: ['sum'] },
    { type: 'Neg', inputs: ['b'], outputs: ['negative'] },
  ],
};

/** Its outputs are its inputs. */
export function passing(datatype: Datatype, shape: readonly number[]): SmallModel {
  return {
    inputs: [spec('x', shape, datatype)],
    outputs: [spec('y', shape, datatype)],
    nodes: [{ type: 'Identity', inputs: ['x'], outputs: ['y'] }],
  };
}

function bytesOf(model: SmallModel): Uint8Array {
  const info = ({ name, datatype, shape }: TensorSpec) => ({
    name,
    type: {
      value: {
        $case: 'tensorType' as const,
        value: {
          elemType: ONNX_TYPE[datatype],
          shape: {
            dim: shape.map((size) => ({
              value:
                size < 0
                  ? { $case: 'dimParam' as const, value: 'n' }
                  : { $case: 'dimValue' as const, value: BigInt(size) },
            })),
          },
        },
      },
    },
  });
  return ModelProto.encode(
    ModelProto.fromPartial({
      irVersion: 8n,
      opsetImport: [{ domain: '', version: 13n }],
      graph: {
        name: 'small',
        input: model.inputs.map(info),
        output: model.outputs.map(info),
        node: model.nodes.map(({ type, inputs, outputs, attributes = {} }) => ({
          ...{ opType: type, input: [...inputs], output: [...outputs] },
          attribute: Object.entries(attributes).map(([name, value]) =>
            typeof value === 'number'
              ? { name, type: AttributeProto_AttributeType.INT, i: BigInt(value) }
              : { name, type: AttributeProto_AttributeType.INTS, ints: value.map(BigInt) },
          ),
        })),
        initializer: Object.entries(model.constants ?? {}).map(([name, values]) => ({
          ...{ name, dims: [BigInt(values.length)] },
          ...(typeof values[0] === 'bigint'
            ? { dataType: Type.INT64, int64Data: [...(values as bigint[])] }
            : { dataType: Type.FLOAT, floatData: [...(values as number[])] }),
        })),
      },
    }),
  ).finish();
}

/** Writes a model into the folder; returns what an executor loads. */
export async function installed(
  folder: string,
  model: SmallModel,
  changes: Partial<ModelSource> = {},
): Promise<ModelSource> {
  const bytes = bytesOf(model);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const file = path.join(folder, `${sha256}.onnx`);
  await mkdir(folder, { recursive: true });
  await writeFile(file, bytes);
  return {
    ...{ name: 'small', version: 1, file, sha256, extraOutput: undefined, fixed: {} },
    signature: { inputs: model.inputs, outputs: model.outputs, producer: 'test', opset: 13 },
    exampleShapes: new Map(),
    ...changes,
  };
}

/** Writes version 1 of a model without a card where a repository looks for it. */
export async function publish(root: string, name: string, model: SmallModel): Promise<void> {
  const folder = path.join(root, name, '1');
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'model.onnx'), bytesOf(model));
}
