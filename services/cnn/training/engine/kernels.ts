import type { GraphWriter } from '../../onnx/graph-writer.js';

/** Square feature maps of a batch. How they lie in memory is the kernels' own matter; pictures are batch x channels x height x width. */
export interface Maps {
  /** Name in the graph. */
  readonly value: string;
  readonly channels: number;
  /** Width and height, pixels. */
  readonly size: number;
}

/** A square convolution without bias; its padding keeps the size, or halves it where the stride is 2. */
export interface Convolution {
  readonly inputs: number;
  readonly outputs: number;
  /** Width and height of the filters: odd. */
  readonly kernel: number;
  readonly stride: 1 | 2;
}

export interface AffineOptions {
  /** Added to the result, before `relu`. */
  readonly add?: Maps;
  readonly relu?: boolean;
}

/**
 * The operations on feature maps that all layers are made of. Filters are as `filterShape` has it, whatever the layout of maps; one number per channel is a vector [channels], one per picture and channel a matrix [batch, channels].
 */
export interface Kernels {
  readonly convolve: (input: Maps, filter: string, shape: Convolution) => Maps;
  /** Gradient of `convolve` by its input. */
  readonly inputGradient: (gradient: Maps, filter: string, shape: Convolution) => Maps;
  /** Gradient of `convolve` by its filter. */
  readonly filterGradient: (input: Maps, gradient: Maps, shape: Convolution) => string;
  /** input * scale[channel] + shift[channel] + add. */
  readonly affine: (
    input: Maps,
    scale: string,
    shift: string | undefined,
    options?: AffineOptions,
  ) => Maps;
  readonly sum: (first: Maps, second: Maps) => Maps;
  /** `gradient` where `output` is positive, else 0. */
  readonly wherePositive: (output: Maps, gradient: Maps) => Maps;
  /** Average over each picture: [batch, channels]. */
  readonly means: (input: Maps) => string;
  /** Gives each pixel its picture's value of the matrix [batch, channels]: the transpose of `means` but for a factor. */
  readonly spread: (matrix: string, channels: number, size: number) => Maps;
  /** Sum of first * second over each picture: [batch, channels]. */
  readonly products: (first: Maps, second: Maps) => string;
  /** Averages 2x2 pixels: half the size. */
  readonly pool: (input: Maps) => Maps;
  /** Gradient of `pool`. */
  readonly poolGradient: (gradient: Maps) => Maps;
}

/** Makes kernels that write into `writer`, for batches of `batch` pictures. */
export type KernelMaker = (writer: GraphWriter, batch: number) => Kernels;
