import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import type { Card } from './card.js';
import { mostProbable, softmax } from './pictures/tensor.js';
import type { LabelProbability } from './pictures/tensor.js';
import { nameOf } from './repository/served-version.js';
import type { NamedTensor } from './tensors/tensor.js';

/** The most probable labels of a model's output, or why it can't be read. */
export function labelsOf(
  tensor: NamedTensor | undefined,
  card: Card,
  topK: number,
): LabelProbability[] | { readonly problem: string } {
  if (tensor?.datatype !== 'FP32')
    return { problem: `its output is ${tensor?.datatype ?? 'missing'}, not FP32` };
  const numbers = floatsOf(tensor);
  if (numbers.length !== card.labels.length)
    return {
      problem: `its output has ${String(numbers.length)} numbers, its card has ${String(card.labels.length)} labels`,
    };
  const probabilities =
    card.output.activation === 'softmax' ? softmax(numbers) : Array.from(numbers);
  return mostProbable(card.labels, probabilities, topK);
}

/** One picture's vector. What a convolution would have seen, channels of rows of columns, becomes the mean of each channel. */
export function vectorOf(
  tensor: NamedTensor | undefined,
): Float32Array | { readonly problem: string } {
  if (tensor?.datatype !== 'FP32')
    return { problem: `its embedding is ${tensor?.datatype ?? 'missing'}, not FP32` };
  const numbers = floatsOf(tensor);
  const [, channels = 0, height = 0, width = 0] = tensor.shape;
  if (tensor.shape.length !== 4) return Float32Array.from(numbers);
  const area = height * width;
  return Float32Array.from({ length: channels }, (_, channel) => {
    let sum = 0;
    for (let at = channel * area; at < (channel + 1) * area; at++) sum += numbers[at] ?? 0;
    return sum / area;
  });
}

function floatsOf({ data }: NamedTensor): Float32Array {
  const isAligned = data.byteOffset % Float32Array.BYTES_PER_ELEMENT === 0;
  const { buffer, byteOffset, byteLength } = isAligned ? data : new Uint8Array(data);
  return new Float32Array(buffer, byteOffset, byteLength / Float32Array.BYTES_PER_ELEMENT);
}

/** Pictures need a card. */
export function noCard(one: Parameters<typeof nameOf>[0]): never {
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'NO_CARD',
    `${nameOf(one)} takes tensors only: for pictures write model.json beside its model.onnx, services/cnn/README.md shows how`,
  );
}

/** `problem`: why there is no vector. */
export function noEmbedding(one: Parameters<typeof nameOf>[0], problem: string): never {
  throw new FractoryError(
    status.FAILED_PRECONDITION,
    'NO_EMBEDDING',
    `${nameOf(one)} can't embed, ${problem}: name a tensor of FP32 as embedding.output in its model.json`,
  );
}
