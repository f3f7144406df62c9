import type { GraphWriter } from '../../onnx/graph-writer.js';
import { phaseFilter, turnedFilter } from './filters.js';
import type { Convolution, Maps } from './kernels.js';
import { paddingOf, type Padding } from './padding.js';

/** What a layout of maps does its own way. */
export interface LayoutKernels {
  /** `filter`: as `forwardFilter` makes it. */
  readonly convolve: (input: Maps, filter: string, shape: Convolution, padding: Padding) => Maps;
  /** [row phase, column phase, channels] of half the size -> channels of the whole size. */
  readonly interleave: (phases: Maps, channels: number) => Maps;
}

/** The gradient of a convolution by its input, as a convolution itself: backwards for stride 1, for stride 2 one for each phase of the pixels. */
export function inputGradient(
  writer: GraphWriter,
  { convolve, interleave }: LayoutKernels,
  { gradient, filter }: { readonly gradient: Maps; readonly filter: string },
  shape: Convolution,
): Maps {
  const { inputs, outputs, kernel } = shape;
  const turned = { kernel, inputs: outputs, outputs: inputs, stride: 1 } as const;
  if (shape.stride === 1)
    return convolve(gradient, turnedFilter(writer, filter, shape), turned, paddingOf(turned));
  const phases = convolve(
    gradient,
    phaseFilter(writer, filter, shape),
    { ...turned, outputs: 4 * inputs, kernel: 2 },
    { begin: 0, end: 1 },
  );
  return interleave(phases, inputs);
}
