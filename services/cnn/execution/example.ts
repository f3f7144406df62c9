import type { ModelSource } from '../serving.js';
import type { NamedTensor, TensorSpec } from '../tensors/tensor.js';
import { ELEMENT_BYTES, elementCount } from '../../../protos/tensors.js';

/** Bytes of the largest example, all inputs together: a model that would take more is not tried out. */
const MAX_BYTES = 256 * 1024 ** 2;
const BYTES_OF_EMPTY_TEXT = 4;

/** Zeros as one request of a model; empty where a size is not known. Must run: its shapes are known and it takes numbers that may all be zero. */
export function exampleOf({ signature, exampleShapes }: ModelSource): {
  readonly tensors: readonly NamedTensor[];
  readonly mustRun: boolean;
} {
  const tensors: NamedTensor[] = [];
  let total = 0;
  for (const spec of signature.inputs) {
    const shape = shapeFor(spec, exampleShapes.get(spec.name));
    if (!shape) return { tensors: [], mustRun: false };
    const bytes =
      elementCount(shape) *
      (spec.datatype === 'BYTES' ? BYTES_OF_EMPTY_TEXT : ELEMENT_BYTES[spec.datatype]);
    total += bytes;
    if (total > MAX_BYTES) return { tensors: [], mustRun: false };
    tensors.push({ ...spec, shape, data: new Uint8Array(bytes) });
  }
  return { tensors, mustRun: tensors.every(({ datatype }) => datatype.startsWith('FP')) };
}

function shapeFor(
  { shape }: TensorSpec,
  given: readonly number[] | undefined,
): readonly number[] | undefined {
  if (given) return given;
  // A first dimension that is free is that of requests.
  const filled = shape.map((size, at) => (at === 0 && size === -1 ? 1 : size));
  return filled.includes(-1) ? undefined : filled;
}
