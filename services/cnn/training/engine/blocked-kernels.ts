import type { GraphWriter } from '../../onnx/graph-writer.js';
import type { Attributes } from '../../onnx/attributes.js';
import { filterGradient } from './filter-gradient.js';
import { forwardFilter } from './filters.js';
import { inputGradient } from './input-gradient.js';
import type { LayoutKernels } from './input-gradient.js';
import type { AffineOptions, Convolution, KernelMaker, Kernels, Maps } from './kernels.js';
import { pads, paddingOf, type Padding } from './padding.js';

/** ONNX Runtime's own convolutions for processors with wide registers. Not in ONNX: a file with them is for this machine only. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';

/**
 * Kernels on maps in ONNX Runtime's blocked layout: batch x channels/block x height x width x block, called batch x channels x height x
 * width in the graph. `block` is the machine's (`blockSize`); channels must be multiples of it, those of pictures excepted.
 *
 * What has no operator of its own is said as a convolution, since these read and write memory just once: a factor and addend per
 * channel is a depthwise 1x1 convolution, a scalar product of two maps a depthwise one as large as the map.
 */
export function blockedKernels(block: number): KernelMaker {
  return (writer, batch) => new BlockedKernels(writer, batch, block);
}

class BlockedKernels implements Kernels {
  readonly #writer: GraphWriter;
  readonly #batch: number;
  readonly #block: number;
  readonly #layout: LayoutKernels = {
    convolve: (...how) => this.#convolve(...how),
    interleave: (...how) => this.#interleave(...how),
  };

  constructor(writer: GraphWriter, batch: number, block: number) {
    this.#writer = writer;
    this.#batch = batch;
    this.#block = block;
  }

  readonly convolve = (input: Maps, filter: string, shape: Convolution): Maps =>
    this.#convolve(input, forwardFilter(this.#writer, filter), shape, paddingOf(shape));

  readonly inputGradient = (gradient: Maps, filter: string, shape: Convolution): Maps =>
    inputGradient(this.#writer, this.#layout, { gradient, filter }, shape);

  readonly filterGradient = (input: Maps, gradient: Maps, shape: Convolution): string => {
    const plain = this.#blockedNode('ReorderOutput', [gradient.value], {
      channels: gradient.channels,
    });
    return filterGradient(
      this.#writer,
      {
        ...this.#rows(input),
        gradient: this.#writer.transpose(plain, [1, 0, 2, 3]),
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
    const { channels } = input;
    const filter = this.#writer.reshape(scale, [channels, 1, 1, 1]);
    const operands = [input.value, filter, shift ?? '', ...(add ? [add.value] : [])];
    const value = this.#blockedNode('Conv', operands, {
      ...unpadded(1, 1),
      group: channels,
      ...(relu === true ? { activation: 'Relu' } : {}),
    });
    return { ...input, value };
  };

  readonly sum = (first: Maps, second: Maps): Maps => ({
    ...first,
    value: this.#writer.node('Add', [first.value, second.value]),
  });

  readonly wherePositive = (output: Maps, gradient: Maps): Maps => {
    // 1 where positive: a huge factor, cut at 1. Far faster than comparing and choosing.
    const huge = this.#writer.node('Mul', [output.value, this.#writer.scalar(1e30)]);
    const mask = this.#writer.node('Clip', [huge, this.#writer.scalar(0), this.#writer.scalar(1)]);
    return { ...gradient, value: this.#writer.node('Mul', [gradient.value, mask]) };
  };

  readonly means = (input: Maps): string =>
    this.#writer.reshape(this.#blockedNode('GlobalAveragePool', [input.value], {}), [
      this.#batch,
      input.channels,
    ]);

  readonly spread = (matrix: string, channels: number, size: number): Maps => {
    const blocks = [this.#batch, channels / this.#block];
    const thin = this.#writer.reshape(matrix, [...blocks, 1, this.#block]);
    const shape = this.#writer.integers([...blocks, size * size, this.#block]);
    const full = this.#writer.node('Expand', [thin, shape]);
    const value = this.#writer.reshape(full, [this.#batch, channels, size, size]);
    return { value, channels, size };
  };

  readonly products = (first: Maps, second: Maps): string => {
    const { channels, size } = first;
    const planes = this.#batch * channels;
    const input = this.#writer.reshape(first.value, [1, planes, size, size]);
    const filter = this.#writer.reshape(second.value, [planes, 1, size, size]);
    const found = this.#blockedNode('Conv', [input, filter], {
      ...unpadded(size, 1),
      group: planes,
    });
    return this.#writer.reshape(found, [this.#batch, channels]);
  };

  readonly pool = (input: Maps): Maps => {
    const attributes = { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] };
    const value = this.#blockedNode('AveragePool', [input.value], attributes);
    return { ...input, value, size: input.size / 2 };
  };

  readonly poolGradient = (gradient: Maps): Maps => {
    const { channels, size } = gradient;
    const quarter = this.#writer.node('Mul', [gradient.value, this.#writer.scalar(0.25)]);
    const attributes = { scales: [1, 1, 2, 2], mode: 'nearest' };
    const value = this.#blockedNode('Upsample', [quarter], attributes);
    return { value, channels, size: size * 2 };
  };

  #convolve(input: Maps, filter: string, shape: Convolution, padding: Padding): Maps {
    const { kernel, stride, outputs } = shape;
    const attributes = { ...unpadded(kernel, stride), pads: pads([padding, padding]), group: 1 };
    const value = this.#blockedNode(
      'Conv',
      [input.value, this.#blocked(filter, shape)],
      attributes,
    );
    const size = (input.size + padding.begin + padding.end - kernel) / stride + 1;
    return { value, channels: outputs, size: Math.floor(size) };
  }

  /** Taps x inputs x outputs -> blocked by output, and by input too unless these are the channels of pictures. */
  #blocked(filter: string, { inputs, outputs, kernel }: Convolution): string {
    const block = this.#block;
    const taps = kernel * kernel;
    const isPicture = inputs < block;
    const parts = isPicture
      ? [taps, inputs, outputs / block, block]
      : [taps, inputs / block, block, outputs / block, block];
    const order = isPicture ? [2, 1, 0, 3] : [3, 1, 0, 2, 4];
    const blocked = this.#writer.transpose(this.#writer.reshape(filter, parts), order);
    return this.#writer.reshape(blocked, [outputs, inputs, kernel, kernel]);
  }

  /** Maps as `filterGradient` takes them. */
  #rows({ value, channels, size }: Maps): { rows: string; run: number } {
    const block = this.#block;
    if (channels < block) {
      const last = this.#writer.transpose(value, [0, 2, 3, 1]);
      const shape = [1, this.#batch, size, size * channels];
      return { rows: this.#writer.reshape(last, shape), run: channels };
    }
    const blocks = [this.#batch, channels / block, size, size * block];
    const rows = this.#writer.transpose(this.#writer.reshape(value, blocks), [1, 0, 2, 3]);
    return { rows, run: block };
  }

  /** [row phase, column phase, channels] of half the size -> channels of the whole size. */
  #interleave(phases: Maps, channels: number): Maps {
    const { size } = phases;
    const blocks = channels / this.#block;
    const parts = [this.#batch, 2, 2, blocks, size, size, this.#block];
    const split = this.#writer.reshape(phases.value, parts);
    const woven = this.#writer.transpose(split, [0, 3, 4, 1, 5, 2, 6]);
    const whole = [this.#batch, channels, 2 * size, 2 * size];
    return { value: this.#writer.reshape(woven, whole), channels, size: 2 * size };
  }

  #blockedNode(type: string, inputs: readonly string[], attributes: Attributes): string {
    return this.#writer.node(type, inputs, attributes, BLOCKED_DOMAIN);
  }
}

/** The blocked operators have no defaults. */
function unpadded(kernel: number, stride: number): Attributes {
  return {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    dilations: [1, 1],
    pads: [0, 0, 0, 0],
  };
}
