import {
  AttributeProto,
  AttributeProto_AttributeType as Kind,
  ModelProto,
  TensorProto_DataType as Type,
} from '../../../../protos/gen/onnx/onnx.js';
import type { NodeProto, TensorProto, ValueInfoProto } from '../../../../protos/gen/onnx/onnx.js';

/** A node; attributes are lists of integers, or single ones. */
export function node(
  opType: string,
  input: string[],
  output: string[],
  attributes: Readonly<Record<string, number | number[]>> = {},
): Partial<NodeProto> {
  const attribute = Object.entries(attributes).map(([name, value]) =>
    AttributeProto.fromPartial(
      typeof value === 'number'
        ? { name, i: BigInt(value), type: Kind.INT }
        : { name, ints: value.map(BigInt), type: Kind.INTS },
    ),
  );
  return { opType, input, output, name: '', attribute, docString: '', domain: '' };
}

/** -1 or a name: of any size. */
export function valueInfo(
  name: string,
  elemType: number,
  shape: readonly (number | string)[],
): ValueInfoProto {
  const dim = shape.map((size) => ({
    denotation: '',
    value:
      typeof size === 'string'
        ? ({ $case: 'dimParam', value: size } as const)
        : size < 0
          ? undefined
          : ({ $case: 'dimValue', value: BigInt(size) } as const),
  }));
  const type = { value: { $case: 'tensorType', value: { elemType, shape: { dim } } } } as const;
  return { name, docString: '', type: { ...type, denotation: '' } };
}

/** Small random numbers, the same for the same seed. */
export function weights(name: string, shape: readonly number[], seed: number): TensorProto {
  const count = shape.reduce((product, size) => product * size, 1);
  const fan = count / (shape[0] ?? 1);
  let state = seed;
  const values = Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return ((state / 2 ** 32) * 2 - 1) * Math.sqrt(3 / fan);
  });
  return {
    ...{
      name,
      dims: shape.map(BigInt),
      dataType: Type.FLOAT,
      rawData: new Uint8Array(values.buffer),
    },
    ...{ floatData: [], int32Data: [], stringData: [], int64Data: [], doubleData: [] },
    ...{ uint64Data: [], docString: '', externalData: [], dataLocation: 0 },
  };
}

/** A classifier of 32x32 pictures into 5 classes: convolution, pooling, a last layer of the kind asked for, softmax. */
export function picturesClassifier({ last }: { last: 'Gemm' | 'MatMul' | 'Conv' }): Uint8Array {
  const body = [
    node('Conv', ['data', 'w1'], ['c1'], { kernel_shape: [3, 3], strides: [2, 2] }),
    node('Relu', ['c1'], ['features']),
  ];
  const pooled = [
    node('GlobalAveragePool', ['features'], ['pooled']),
    node('Flatten', ['pooled'], ['flat']),
  ];
  const heads = {
    Gemm: [...pooled, node('Gemm', ['flat', 'w2', 'b2'], ['logits'])],
    MatMul: [
      ...pooled,
      node('MatMul', ['flat', 'w2'], ['sums']),
      node('Add', ['sums', 'b2'], ['logits']),
    ],
    Conv: [
      node('Conv', ['features', 'w3'], ['maps'], { kernel_shape: [1, 1] }),
      node('GlobalAveragePool', ['maps'], ['means']),
      node('Flatten', ['means'], ['logits']),
    ],
  };
  const model = ModelProto.fromPartial({
    irVersion: 8n,
    opsetImport: [{ domain: '', version: 13n }],
    graph: {
      name: 'classifier',
      node: [...body, ...heads[last], node('Softmax', ['logits'], ['probabilities'])],
      initializer: [
        weights('w1', [8, 3, 3, 3], 1),
        ...(last === 'Conv'
          ? [weights('w3', [5, 8, 1, 1], 2)]
          : [weights('w2', [8, 5], 2), weights('b2', [5], 3)]),
      ],
      input: [valueInfo('data', Type.FLOAT, ['N', 3, 32, 32])],
      output: [valueInfo('probabilities', Type.FLOAT, ['N', 5])],
    },
  });
  return ModelProto.encode(model).finish();
}

/**
 * SqueezeNet 1.0 as the model zoo has it, with random weights: `data_0` 1x3x224x224 in, `softmaxout_1` 1x1000x1x1 out, and weights listed among the inputs as files of IR
 * version 3 do. `squeeze` divides the channels.
 */
export function squeezeNet(squeeze = 8): Uint8Array {
  const nodes: Partial<NodeProto>[] = [];
  const initializer: TensorProto[] = [];
  let channels = 3;
  const conv = (from: string, to: string, size: number, count: number, stride = 1): void => {
    const name = `${to}_w`;
    initializer.push(weights(name, [count, channels, size, size], initializer.length + 1));
    const pads = size === 3 && stride === 1 ? [1, 1, 1, 1] : [0, 0, 0, 0];
    nodes.push(
      node('Conv', [from, name], [`${to}_raw`], {
        kernel_shape: [size, size],
        strides: [stride, stride],
        pads,
      }),
      node('Relu', [`${to}_raw`], [to]),
    );
  };
  const pool = (from: string, to: string): void => {
    nodes.push(node('MaxPool', [from], [to], { kernel_shape: [3, 3], strides: [2, 2] }));
  };
  const fire = (from: string, to: string, narrow: number, wide: number): void => {
    const entering = channels;
    conv(from, `${to}_s`, 1, narrow / squeeze);
    channels = narrow / squeeze;
    conv(`${to}_s`, `${to}_e1`, 1, wide / squeeze);
    conv(`${to}_s`, `${to}_e3`, 3, wide / squeeze);
    nodes.push(node('Concat', [`${to}_e1`, `${to}_e3`], [to], { axis: 1 }));
    channels = (2 * wide) / squeeze;
    if (entering < 1) throw new Error('too narrow');
  };
  conv('data_0', 'conv1', 7, 96 / squeeze, 2);
  channels = 96 / squeeze;
  pool('conv1', 'pool1');
  fire('pool1', 'fire2', 16, 64);
  fire('fire2', 'fire3', 16, 64);
  fire('fire3', 'fire4', 32, 128);
  pool('fire4', 'pool4');
  fire('pool4', 'fire5', 32, 128);
  fire('fire5', 'fire6', 48, 192);
  fire('fire6', 'fire7', 48, 192);
  fire('fire7', 'fire8', 64, 256);
  pool('fire8', 'pool8');
  fire('pool8', 'fire9', 64, 256);
  conv('fire9', 'conv10', 1, 1000);
  nodes.push(
    node('GlobalAveragePool', ['conv10'], ['pool10']),
    node('Softmax', ['pool10'], ['softmaxout_1'], { axis: 1 }),
  );
  const listed = initializer.map(({ name, dims }) => valueInfo(name, Type.FLOAT, dims.map(Number)));
  const model = ModelProto.fromPartial({
    irVersion: 3n,
    producerName: 'onnx-caffe2',
    opsetImport: [{ domain: '', version: 9n }],
    graph: {
      ...{ name: 'squeezenet_old', node: nodes, initializer },
      input: [valueInfo('data_0', Type.FLOAT, [1, 3, 224, 224]), ...listed],
      output: [valueInfo('softmaxout_1', Type.FLOAT, [1, 1000, 1, 1])],
    },
  });
  return ModelProto.encode(model).finish();
}
