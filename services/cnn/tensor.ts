import type { Card } from './card.js';

/** Pixels (interleaved, RGB or grey) as the tensor that the card describes: (byte / scale - mean) / std per channel. */
export function toTensor(pixels: Uint8Array, input: Card['input']): Float32Array {
  const { width, height, channels, layout, colorOrder, scale, mean, std } = input;
  const count = width * height;
  const tensor = new Float32Array(count * channels);
  const [pixelStride, channelStride] = layout === 'NCHW' ? [1, count] : [channels, 1];
  for (let channel = 0; channel < channels; channel++) {
    const source = colorOrder === 'BGR' ? channels - 1 - channel : channel;
    const factor = 1 / (scale * (std[channel] ?? 1));
    const offset = (mean[channel] ?? 0) / (std[channel] ?? 1);
    for (let pixel = 0; pixel < count; pixel++)
      tensor[pixel * pixelStride + channel * channelStride] =
        (pixels[pixel * channels + source] ?? 0) * factor - offset;
  }
  return tensor;
}

/** Shape of that tensor, a batch of one. */
export function shapeOf({ width, height, channels, layout }: Card['input']): number[] {
  return layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels];
}

/** Logits as probabilities. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  const highest = Math.max(...values);
  const powers = values.map((value) => Math.exp(value - highest));
  const sum = powers.reduce((left, right) => left + right, 0);
  return powers.map((value) => value / sum);
}

/** A label and how sure the model is of it, 0 to 1. */
export interface LabelProbability {
  readonly label: string;
  readonly probability: number;
}

/** The `count` most probable labels, the most probable first; ties keep the order of the labels. */
export function mostProbable(
  labels: readonly string[],
  probabilities: readonly number[],
  count: number,
): LabelProbability[] {
  return labels
    .map((label, index) => ({ label, probability: probabilities[index] ?? 0 }))
    .sort((a, b) => b.probability - a.probability)
    .slice(0, count);
}
