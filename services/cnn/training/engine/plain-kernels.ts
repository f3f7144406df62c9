import type { GraphWriter } from '../../onnx/graph-writer.js';
import { filterGradient } from './filter-gradient.js';
import { forwardFilter } from './filters.js';
import { inputGradient } from './input-gradient.js';
import type { LayoutKernels } from './input-gradient.js';
import type { AffineOptions, Convolution, KernelMaker, Kernels, Maps } from './kernels.js';
import { pads, paddingOf, type Padding } from './padding.js';

/** Kernels of nothing but ONNX's own operators: they run on every machine, on some of them slower than the blocked ones. */
export const plainKernels: KernelMaker = (writer, batch) => new PlainKernels(writer, batch);

/** Maps are batch x channels x height x width. */
class PlainKernels implements Kernels {
  readonly #writer: GraphWriter;
  readonly #batch: number;
  readonly #layout: LayoutKernels = {
    convolve: (...how) => this.#convolve(...how),
    interleave: (...how) => this.#interleave(...how),
  };

  constructor(writer: GraphWriter, batch: number) {
    this.#writer = writer;
    this.#batch = batch;
  }

  readonly convolve = (input: Maps, filter: string, shape: Convolution): Maps =>
    this.#convolve(input, forwardFilter(this.#writer, filter), shape, paddingOf(shape));

  readonly inputGradient = (gradient: Maps, filter: string, shape: Convolution): Maps =>
    inputGradient(this.#writer, this.#layout, { gradient, filter }, shape);

  readonly filterGradient = (input: Maps, gradient: Maps, shape: Convolution): string => {
    const { channels, size } = input;
    const last = this.#writer.transpose(input.value, [0, 2, 3, 1]);
    return filterGradient(
      this.#writer,
      {
        rows: this.#writer.reshape(last, [1, this.#batch, size, size * channels]),
        run: channels,
        gradient: this.#writer.transpose(gradient.value, [1, 0, 2, 3]),
        size: gradient.size,
      },
      shape,
    );
  };

  readonly affine = (
    input: Maps,
    scale: string,
    shift: string | undefined,
    { add, relu }: AffineOptions = {},
  ): Maps => {
    const vector = [1, input.channels, 1, 1];
    let value = this.#writer.node('Mul', [input.value, this.#writer.reshape(scale, vector)]);
    if (shift !== undefined)
      value = this.#writer.node('Add', [value, this.#writer.reshape(shift, vector)]);
    if (add) value = this.#writer.node('Add', [value, add.value]);
    if (relu === true) value = this.#writer.node('Relu', [value]);
    return { ...input, value };
  };

  readonly sum = (first: Maps, second: Maps): Maps => ({
    ...first,
    value: this.#writer.node('Add', [first.value, second.value]),
  });

  readonly wherePositive = (output: Maps, gradient: Maps): Maps => {
    const isPositive = this.#writer.node('Greater', [output.value, this.#writer.scalar(0)]);
    const operands = [isPositive, gradient.value, this.#writer.scalar(0)];
    return { ...gradient, value: this.#writer.node('Where', operands) };
  };

  readonly means = (input: Maps): string =>
    this.#writer.node('ReduceMean', [input.value], { axes: [2, 3], keepdims: 0 });

  readonly spread = (matrix: string, channels: number, size: number): Maps => {
    const thin = this.#writer.reshape(matrix, [this.#batch, channels, 1, 1]);
    const shape = this.#writer.integers([this.#batch, channels, size, size]);
    return { value: this.#writer.node('Expand', [thin, shape]), channels, size };
  };

  readonly products = (first: Maps, second: Maps): string => {
    const product = this.#writer.node('Mul', [first.value, second.value]);
    const axes = this.#writer.integers([2, 3]);
    return this.#writer.node('ReduceSum', [product, axes], { keepdims: 0 });
  };

  readonly pool = (input: Maps): Maps => {
    const attributes = { kernel_shape: [2, 2], strides: [2, 2] };
    const value = this.#writer.node('AveragePool', [input.value], attributes);
    return { ...input, value, size: input.size / 2 };
  };

  readonly poolGradient = (gradient: Maps): Maps => {
    const { channels, size } = gradient;
    const quarter = this.#writer.node('Mul', [gradient.value, this.#writer.scalar(0.25)]);
    const planes = this.#batch * channels;
    const thin = this.#writer.reshape(quarter, [planes, size, 1, size, 1]);
    const shape = this.#writer.integers([planes, size, 2, size, 2]);
    const full = this.#writer.node('Expand', [thin, shape]);
    const whole = [this.#batch, channels, 2 * size, 2 * size];
    return { value: this.#writer.reshape(full, whole), channels, size: 2 * size };
  };

  #convolve(input: Maps, filter: string, shape: Convolution, padding: Padding): Maps {
    const { inputs, outputs, kernel, stride } = shape;
    const last = this.#writer.transpose(filter, [2, 1, 0]);
    const square = this.#writer.reshape(last, [outputs, inputs, kernel, kernel]);
    const value = this.#writer.node('Conv', [input.value, square], {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: pads([padding, padding]),
    });
    const size = (input.size + padding.begin + padding.end - kernel) / stride + 1;
    return { value, channels: outputs, size: Math.floor(size) };
  }

  /** [row phase, column phase, channels] of half the size -> channels of the whole size. */
  #interleave({ value, size }: Maps, channels: number): Maps {
    const split = this.#writer.reshape(value, [this.#batch, 2, 2, channels, size, size]);
    const woven = this.#writer.transpose(split, [0, 3, 4, 1, 5, 2]);
    const whole = [this.#batch, channels, 2 * size, 2 * size];
    return { value: this.#writer.reshape(woven, whole), channels, size: 2 * size };
  }
}
