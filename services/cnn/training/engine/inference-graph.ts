import { GraphWriter } from '../../onnx/graph-writer.js';
import { EPSILON } from './layers/batch-norm.js';
import type { Convolution } from './kernels.js';
import { PICTURE_CHANNELS, type Architecture, type Block, type Unit } from './networks.js';
import { pads, paddingOf } from './padding.js';

/** Values of a parameter or statistic by its name. */
export type Values = (name: string) => Float32Array;

export interface InferenceGraphOptions {
  /** Width and height of the pictures. */
  readonly size: number;
  /** Makes what the head reads an output too. */
  readonly embedding?: boolean;
}

/** The network for inference as an ONNX file of standard operators, each batch norm folded into the convolution before it. */
export function inferenceGraph(
  architecture: Architecture,
  values: Values,
  { size, embedding = false }: InferenceGraphOptions,
): Uint8Array {
  const { stem, blocks, features, classes } = architecture;
  const writer = new GraphWriter();
  writer.input('input', ['batch', PICTURE_CHANNELS, size, size]);
  let maps = relu(writer, folded(writer, stem, values, 'input'));
  for (const block of blocks) maps = blockNodes(writer, block, values, maps);
  const pooled = writer.node('GlobalAveragePool', [maps]);
  const embedded = writer.node('Flatten', [pooled], {}, '', 'embedding');
  const weight = writer.floats([features, classes], values('head.weight'), 'head.weight');
  const bias = writer.floats([classes], values('head.bias'), 'head.bias');
  writer.node('Gemm', [embedded, weight, bias], {}, '', 'logits');
  writer.output('logits', 'logits', ['batch', classes]);
  if (embedding) writer.output('embedding', embedded, ['batch', features]);
  return writer.model({ name: 'classifier' });
}

function blockNodes(writer: GraphWriter, block: Block, values: Values, input: string): string {
  const { first, second, shortcut } = block;
  const inner = relu(writer, folded(writer, first, values, input));
  const main = folded(writer, second, values, inner);
  const side = shortcut ? shortcutNodes(writer, shortcut, values, input) : input;
  return relu(writer, writer.node('Add', [main, side]));
}

function shortcutNodes(
  writer: GraphWriter,
  unit: Unit & { readonly halves: boolean },
  values: Values,
  input: string,
): string {
  const pooling = { kernel_shape: [2, 2], strides: [2, 2] };
  return folded(
    writer,
    unit,
    values,
    unit.halves ? writer.node('AveragePool', [input], pooling) : input,
  );
}

function relu(writer: GraphWriter, value: string): string {
  return writer.node('Relu', [value]);
}

/** A convolution with bias that does what the unit's convolution and batch norm do. */
function folded(writer: GraphWriter, { name, shape }: Unit, values: Values, input: string): string {
  const { filter, bias } = foldedNumbers(name, shape, values);
  const { inputs, outputs, kernel, stride } = shape;
  const operands = [
    input,
    writer.floats([outputs, inputs, kernel, kernel], filter, `${name}.filters`),
    writer.floats([outputs], bias, `${name}.bias`),
  ];
  const padding = paddingOf(shape);
  return writer.node('Conv', operands, {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: pads([padding, padding]),
  });
}

function foldedNumbers(
  name: string,
  { inputs, outputs, kernel }: Convolution,
  values: Values,
): { filter: Float32Array; bias: Float32Array } {
  const [scale, shift, mean, variance] = ['scale', 'shift', 'mean', 'variance'].map((part) =>
    values(`${name}.${part}`),
  );
  const factors = Float32Array.from(
    { length: outputs },
    (_, channel) => at(scale, channel) / Math.sqrt(at(variance, channel) + EPSILON),
  );
  const taps = kernel * kernel;
  const trained = values(`${name}.filters`);
  const filter = new Float32Array(trained.length);
  // Taps x outputs x inputs become outputs x inputs x taps.
  for (let tap = 0; tap < taps; tap += 1)
    for (let output = 0; output < outputs; output += 1)
      for (let input = 0; input < inputs; input += 1)
        filter[(output * inputs + input) * taps + tap] =
          at(trained, (tap * outputs + output) * inputs + input) * at(factors, output);
  return {
    filter,
    bias: factors.map((factor, channel) => at(shift, channel) - at(mean, channel) * factor),
  };
}

function at(values: Float32Array | undefined, index: number): number {
  return values?.[index] ?? Number.NaN;
}
