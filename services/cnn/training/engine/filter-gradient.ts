import type { GraphWriter } from '../../onnx/graph-writer.js';
import type { Convolution } from './kernels.js';
import { pads, paddingOfFilterGradient } from './padding.js';

export interface FilterGradientOperands {
  /** Input of the convolution: [inputs / run, batch, height, width * run]; `run` channels of a pixel stand together. */
  readonly rows: string;
  readonly run: number;
  /** Gradient of its output: [outputs, batch, height, width], maps of `size`. */
  readonly gradient: string;
  readonly size: number;
}

/**
 * Gradient of a convolution by its filter, as a convolution: its filter is the gradient of the output, the pictures are its channels, and
 * its result is as large as the filter. Pixels lie `stride` apart in it, and `run` in a row, where `run` channels stand together:
 * ONNX Runtime copies long runs faster.
 */
export function filterGradient(
  writer: GraphWriter,
  { rows, run, gradient, size }: FilterGradientOperands,
  shape: Convolution,
): string {
  const { inputs, outputs, kernel, stride } = shape;
  const height = paddingOfFilterGradient(shape);
  const width = { begin: height.begin * run, end: height.end * run };
  const found = writer.node('Conv', [rows, gradient], {
    kernel_shape: [size, size],
    dilations: [stride, stride * run],
    pads: pads([height, width]),
  });
  const taps = kernel * kernel;
  const parts = writer.reshape(found, [inputs / run, outputs, taps, run]);
  return writer.reshape(writer.transpose(parts, [2, 1, 0, 3]), [taps, outputs, inputs]);
}
