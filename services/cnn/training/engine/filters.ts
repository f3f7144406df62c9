import type { GraphWriter } from '../../onnx/graph-writer.js';
import type { Convolution } from './kernels.js';

/**
 * A filter as parameter: taps (row by row) x outputs x inputs. In this order the gradient by the input reads it as it is, the gradient
 * by the filter writes it in long runs, and only the convolution itself has to transpose it.
 */
export function filterShape({ inputs, outputs, kernel }: Convolution): [number, number, number] {
  return [kernel * kernel, outputs, inputs];
}

/** Filter of a convolution as kernels take it: taps x channels in x channels out. */
export function forwardFilter(writer: GraphWriter, filter: string): string {
  return writer.transpose(filter, [0, 2, 1]);
}

/** The same for its gradient by the input where the stride is 1: turned by 180 degrees, from outputs to inputs. */
export function turnedFilter(writer: GraphWriter, filter: string, { kernel }: Convolution): string {
  const taps = kernel * kernel;
  if (taps === 1) return filter;
  const backwards = Array.from({ length: taps }, (_, tap) => taps - 1 - tap);
  return writer.node('Gather', [filter, writer.integers(backwards)], { axis: 0 });
}

/** Tap of three that each of two neighbours in a gradient goes through to even and to odd pixels; `none`: to none. */
const none = undefined;
const TAPS_OF_PHASES = [
  [1, none],
  [2, 0],
] as const;

/**
 * The same for a 3x3 convolution with stride 2. Each of four phases (even and odd rows and columns of the input) sees other taps, at
 * most 2x2 of them: one 2x2 convolution from outputs to [phase of row, phase of column, inputs] does it, padded at the end.
 */
export function phaseFilter(writer: GraphWriter, filter: string, shape: Convolution): string {
  const { inputs, outputs } = shape;
  const zeros = writer.floats([1, outputs, inputs], new Float32Array(outputs * inputs));
  const padded = writer.node('Concat', [filter, zeros], { axis: 0 });
  const picked = writer.node('Gather', [padded, writer.integers(tapsOfPhases())], { axis: 0 });
  const phases = writer.reshape(picked, [4, 4, outputs, inputs]);
  return writer.reshape(writer.transpose(phases, [0, 2, 1, 3]), [4, outputs, 4 * inputs]);
}

/** Taps of the 3x3 filter (9 = none) in the order [row, column of the 2x2 filter, phase of row, phase of column]. */
function tapsOfPhases(): number[] {
  const both = [0, 1] as const;
  return both.flatMap((row) =>
    both.flatMap((column) =>
      TAPS_OF_PHASES.flatMap((rows) =>
        TAPS_OF_PHASES.map((columns) => tapAt(rows[row], columns[column])),
      ),
    ),
  );
}

function tapAt(row: number | undefined, column: number | undefined): number {
  return row === undefined || column === undefined ? 9 : row * 3 + column;
}
