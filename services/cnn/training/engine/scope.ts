import type { GraphWriter } from '../../onnx/graph-writer.js';
import type { Kernels, Maps } from './kernels.js';

/** What layers write into, and where they find their parameters and leave their gradients. */
export interface Scope {
  readonly writer: GraphWriter;
  readonly kernels: Kernels;
  /** Pictures of a step. */
  readonly batch: number;
  /** The value of a parameter, in its shape. */
  readonly parameter: (name: string) => string;
  /** Leaves the gradient of a parameter. Once each. */
  readonly gradient: (name: string, value: string) => void;
  /** Leaves a number per channel that inference needs, of this batch. Once each. */
  readonly statistic: (name: string, value: string) => void;
}

/** A layer that has written its forward nodes. `backward` writes the others: gradient of the output in, of the input out. */
export interface Layer<Input = Maps, Output = Input> {
  readonly output: Output;
  readonly backward: (gradient: Output) => Input;
}
