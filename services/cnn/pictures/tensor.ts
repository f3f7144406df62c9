import type { PixelInput } from '../serving.js';

const BYTE_VALUES = 256;

/** Writes pictures into a tensor. Made once for an input: what a byte becomes stands in a table for each channel. */
export class PixelWriter {
  readonly #input: PixelInput;
  /** Value of each byte, by channel of the tensor. */
  readonly #tables: readonly Float32Array[];

  constructor(input: PixelInput) {
    this.#input = input;
    this.#tables = Array.from({ length: input.channels }, (_, channel) => tableOf(input, channel));
  }

  /** Numbers of one picture. */
  get length(): number {
    const { width, height, channels } = this.#input;
    return width * height * channels;
  }

  /** Writes pixels (interleaved, RGB or grey) to `target` from `offset` on: (byte / scale - mean) / std per channel. */
  write(pixels: Uint8Array, target: Float32Array, offset = 0): void {
    const { channels, colorOrder, layout } = this.#input;
    const [first, second, third] = this.#tables;
    if (!first) return;
    if (channels === 1 || !second || !third) {
      for (let at = 0; at < this.length; at++) target[offset + at] = first[pixels[at] ?? 0] ?? 0;
      return;
    }
    const count = this.length / channels;
    const [step, stride] = layout === 'NCHW' ? [1, count] : [channels, 1];
    const [red, blue] = colorOrder === 'RGB' ? [0, 2] : [2, 0];
    let out = offset;
    for (let at = 0; at < count * channels; at += channels, out += step) {
      target[out] = first[pixels[at + red] ?? 0] ?? 0;
      target[out + stride] = second[pixels[at + 1] ?? 0] ?? 0;
      target[out + 2 * stride] = third[pixels[at + blue] ?? 0] ?? 0;
    }
  }
}

function tableOf({ scale, mean, std }: PixelInput, channel: number): Float32Array {
  const factor = 1 / (scale * (std[channel] ?? 1));
  const offset = (mean[channel] ?? 0) / (std[channel] ?? 1);
  return Float32Array.from({ length: BYTE_VALUES }, (_, byte) => byte * factor - offset);
}

/** Shape of the tensor of so many pictures. */
export function shapeOf(
  { width, height, channels, layout }: Omit<PixelInput, 'name'>,
  count = 1,
): number[] {
  return layout === 'NCHW' ? [count, channels, height, width] : [count, height, width, channels];
}

/** Logits as probabilities. */
export function softmax(logits: ArrayLike<number>): number[] {
  const values = Array.from(logits);
  // A hundred thousand labels are too many for the arguments of a call.
  const highest = values.reduce((most, value) => Math.max(most, value), -Infinity);
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
