import { TensorProto_DataType } from '../../../../protos/gen/onnx/onnx.js';
import { GraphWriter } from '../../onnx/graph-writer.js';
import type { EngineOptions } from './engine.js';
import type { KernelMaker } from './kernels.js';
import { crossEntropy } from './layers/cross-entropy.js';
import { network } from './network-layers.js';
import { PICTURE_CHANNELS, type Architecture } from './networks.js';
import { approach, descend } from './optimizer.js';
import { sizeOf, type Vector } from './parameters.js';
import type { Scope } from './scope.js';

/** Share of a batch in the running means and variances of batch norms. */
const STATISTICS_SHARE = 0.1;

/** Vectors that a step reads and writes: the names of the graph's inputs; its outputs are called new_NAME. */
export const VECTORS = [
  'weights',
  'momenta',
  'statistics',
  'averaged_weights',
  'averaged_statistics',
] as const;
export type VectorName = (typeof VECTORS)[number];

export interface TrainingGraphOptions extends EngineOptions {
  readonly architecture: Architecture;
  readonly parameters: Vector;
  readonly statistics: Vector;
  readonly kernels: KernelMaker;
  /** Width and height of the pictures. */
  readonly size: number;
}

/**
 * One step of training as an ONNX file: forward, backward and update. Inputs: pixels, labels, learning_rate, averaging_share (of the new
 * weights in their average) and the vectors; outputs: loss, correct and the new vectors.
 */
export function trainingGraph(options: TrainingGraphOptions): Uint8Array {
  const writer = new GraphWriter();
  for (const name of VECTORS) writer.input(name, [lengthOf(name, options)]);
  const left = learn(writer, options);
  const results = update(writer, options, left);
  for (const name of VECTORS)
    writer.output(`new_${name}`, results[name], [lengthOf(name, options)]);
  return writer.model({ name: 'training' });
}

/** What layers have left by name: gradients of parameters, statistics of the batch. */
type Left = ReadonlyMap<string, string>;

function learn(writer: GraphWriter, options: TrainingGraphOptions): Left {
  const { architecture, batch, size } = options;
  const pixels = writer.input('pixels', [batch, PICTURE_CHANNELS, size, size]);
  const labels = writer.input('labels', [batch], TensorProto_DataType.INT64);
  const left = new Map<string, string>();
  const values = parameterValues(writer, options.parameters);
  const scope: Scope = {
    writer,
    kernels: options.kernels(writer, batch),
    batch,
    parameter: (name) => values.get(name) ?? fail(name),
    gradient: (name, value) => void left.set(name, value),
    statistic: (name, value) => void left.set(name, value),
  };
  const pictures = { value: pixels, channels: PICTURE_CHANNELS, size };
  const { logits, backward } = network(scope, architecture, pictures);
  const smoothed = { classes: architecture.classes, smoothing: options.labelSmoothing };
  const { loss, correct, gradient } = crossEntropy(scope, logits, labels, smoothed);
  backward(gradient);
  writer.output('loss', loss, []);
  writer.output('correct', correct, []);
  return left;
}

function update(
  writer: GraphWriter,
  options: TrainingGraphOptions,
  left: Left,
): Record<VectorName, string> {
  const { parameters, statistics } = options;
  const learningRate = writer.input('learning_rate', []);
  const averagingShare = writer.input('averaging_share', []);
  const gradient = joined(writer, parameters, left);
  const decaying = parameters.parts.filter(({ decays }) => decays).map(sizeOf);
  const updated = descend(
    writer,
    { weights: 'weights', momenta: 'momenta', gradient, learningRate },
    {
      ...options,
      length: parameters.length,
      decaying: decaying.reduce((sum, size) => sum + size, 0),
    },
  );
  const measured = joined(writer, statistics, left);
  const running = approach(writer, 'statistics', measured, writer.scalar(STATISTICS_SHARE));
  return {
    ...updated,
    statistics: running,
    averaged_weights: approach(writer, 'averaged_weights', updated.weights, averagingShare),
    averaged_statistics: approach(writer, 'averaged_statistics', running, averagingShare),
  };
}

export function lengthOf(
  name: VectorName,
  { parameters, statistics }: { readonly parameters: Vector; readonly statistics: Vector },
): number {
  return name.endsWith('statistics') ? statistics.length : parameters.length;
}

/** The weight vector cut into parameters. */
function parameterValues(writer: GraphWriter, { parts }: Vector): Map<string, string> {
  const pieces = writer.split('weights', 0, parts.map(sizeOf));
  return new Map(
    parts.map(({ name, shape }, index) => [name, writer.reshape(pieces[index] ?? '', shape)]),
  );
}

/** One vector of what the layers have left. */
function joined(writer: GraphWriter, { parts }: Vector, left: Left): string {
  const flat = parts.map(({ name }) => writer.reshape(left.get(name) ?? fail(name), [-1]));
  return writer.node('Concat', flat, { axis: 0 });
}

function fail(name: string): never {
  throw new Error(`no layer has left ${name}`);
}
