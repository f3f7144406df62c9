import type { Convolution } from './kernels.js';

/** Zeros before the first and after the last pixel of each axis. */
export interface Padding {
  readonly begin: number;
  readonly end: number;
}

/** An even size becomes size / stride. */
export function paddingOf({ kernel }: Convolution): Padding {
  return { begin: (kernel - 1) / 2, end: (kernel - 1) / 2 };
}

/**
 * The gradient of a filter is a convolution of the input by the output's gradient, whose pixels lie `stride` apart. As such it would
 * have one tap more at the end where the stride is 2: this padding leaves it out.
 */
export function paddingOfFilterGradient({ kernel, stride }: Convolution): Padding {
  const begin = (kernel - 1) / 2;
  return { begin, end: begin - (stride - 1) };
}

/** Attributes of ONNX's convolutions over one or more axes; `axes` without padding have none. */
export function pads(axes: readonly (Padding | undefined)[]): number[] {
  return [...axes.map((axis) => axis?.begin ?? 0), ...axes.map((axis) => axis?.end ?? 0)];
}
