import { shapeText } from '../../protos/tensors.js';
import { invalidArgument, limitExceeded } from '../../runtime/errors.js';
import type { ModelSignature } from './serving.js';
import { checkTensor } from './tensors/data.js';
import type { NamedTensor, TensorSpec } from './tensors/tensor.js';

/** Of a name, the part that an error tells. */
const SHOWN = 80;

/** Tensors for a model, and the outputs that are wanted of it. */
export interface TensorRequest {
  readonly inputs: readonly NamedTensor[];
  /** Empty = all. */
  readonly outputs: readonly string[];
}

/**
 * The names of the outputs wanted, once the request fits the model: every input once, of its datatype and shape, with as many bytes as it needs. What the numbers
 * are is no matter: NaN is data. Throws INVALID_ARGUMENT (BAD_TENSOR) with the field, LIMIT_EXCEEDED for `max_tensor_bytes`.
 */
export function checkRequest(
  { inputs, outputs }: TensorRequest,
  signature: ModelSignature,
  maxBytes: number,
): readonly string[] {
  const bytes = inputs.reduce((sum, { data }) => sum + data.length, 0);
  if (bytes > maxBytes)
    throw limitExceeded('max_tensor_bytes', bytes, maxBytes, { what: 'size of the inputs' });
  const given = new Set<string>();
  for (const tensor of inputs) {
    checkInput(tensor, signature.inputs);
    if (given.has(tensor.name)) throw bad(fieldOf(tensor.name), 'is given twice');
    given.add(tensor.name);
  }
  for (const { name, datatype, shape } of signature.inputs)
    if (!given.has(name))
      throw bad(fieldOf(name), `is missing, the model takes ${datatype} of ${shapeText(shape)}`);
  const known = signature.outputs.map(({ name }) => name);
  for (const name of outputs)
    if (!known.includes(name))
      throw bad(
        `outputs[${name.slice(0, SHOWN)}]`,
        `the model has no such output, it has: ${known.join(', ')}`,
      );
  return outputs.length === 0 ? known : [...new Set(outputs)];
}

function checkInput(tensor: NamedTensor, specs: readonly TensorSpec[]): void {
  const { name, datatype, shape } = tensor;
  const field = fieldOf(name);
  const spec = specs.find((one) => one.name === name);
  if (!spec) {
    const known = specs.map((one) => one.name).join(', ');
    throw bad(field, `the model has no such input, it has: ${known}`);
  }
  if (datatype !== spec.datatype)
    throw bad(field, `is ${datatype}, the model takes ${spec.datatype}`);
  checkTensor(tensor, field);
  if (spec.anyRank !== true && !fits(shape, spec.shape))
    throw bad(field, `has the shape ${shapeText(shape)}, the model takes ${shapeText(spec.shape)}`);
  if (shape[0] === 0) throw bad(field, `has the shape ${shapeText(shape)}, a batch of nothing`);
}

function fits(shape: readonly number[], expected: readonly number[]): boolean {
  return (
    shape.length === expected.length &&
    shape.every((size, at) => expected[at] === -1 || expected[at] === size)
  );
}

function fieldOf(name: string): string {
  return `inputs[${name.slice(0, SHOWN)}]`;
}

function bad(field: string, description: string): Error {
  return invalidArgument(field, description, 'BAD_TENSOR');
}
