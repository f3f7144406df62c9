import { InferenceSession, Tensor } from 'onnxruntime-node';

import type { PictureSet } from '../data/data-set.js';
import { PixelStore } from '../data/pixel-store.js';
import { NORMALISATION } from '../normalisation.js';

/** How a network does on pictures that it never learned from. */
export interface Evaluation {
  /** Mean cross-entropy. */
  readonly loss: number;
  /** Share of right answers, 0 to 1. */
  readonly accuracy: number;
  /** One row for each true class, one column for each answer. */
  readonly confusion: readonly (readonly number[])[];
}

const BATCH = 16;

/** Runs an exported network over pictures, as it will be served; `isStopped` is asked between batches. */
export async function evaluate(
  model: Uint8Array,
  set: PictureSet,
  options: {
    readonly classes: number;
    readonly threads: number;
    readonly isStopped: () => boolean;
  },
): Promise<Evaluation | undefined> {
  const session = await InferenceSession.create(model, {
    intraOpNumThreads: options.threads,
    executionMode: 'sequential',
    logSeverityLevel: 3,
    enableCpuMemArena: false,
    // A thread that waits sleeps: the node has other things to do.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
  try {
    const tally = new Tally(options.classes);
    const store = new PixelStore(set.pixels);
    for (let from = 0; from < set.labels.length; from += BATCH) {
      if (options.isStopped()) return undefined;
      const until = Math.min(from + BATCH, set.labels.length);
      const input = inputOf(store, set.slots.subarray(from, until));
      const { logits } = await session.run({ input }, ['logits']);
      tally.add(logits?.data as Float32Array, set.labels.subarray(from, until));
    }
    return tally.result();
  } finally {
    await session.release();
  }
}

function inputOf(store: PixelStore, slots: Int32Array): Tensor {
  const { sidePx } = store;
  const plane = sidePx * sidePx;
  const values = new Float32Array(slots.length * 3 * plane);
  slots.forEach((slot, at) => {
    const pixels = store.picture(slot);
    NORMALISATION.mean.forEach((mean, channel) => {
      const std = NORMALISATION.std[channel] ?? 1;
      const [factor, offset] = [1 / (255 * std), mean / std];
      const to = (at * 3 + channel) * plane;
      for (let pixel = 0; pixel < plane; pixel++)
        values[to + pixel] = (pixels[pixel * 3 + channel] ?? 0) * factor - offset;
    });
  });
  return new Tensor('float32', values, [slots.length, 3, sidePx, sidePx]);
}

/** Sums up answers. */
class Tally {
  readonly #classes: number;
  readonly #confusion: number[][];
  #loss = 0;
  #count = 0;

  constructor(classes: number) {
    this.#classes = classes;
    this.#confusion = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  }

  add(logits: Float32Array, labels: Int32Array): void {
    labels.forEach((label, at) => {
      const row = logits.subarray(at * this.#classes, (at + 1) * this.#classes);
      const highest = row.reduce((most, value) => Math.max(most, value), -Infinity);
      const sum = row.reduce((total, value) => total + Math.exp(value - highest), 0);
      this.#loss += Math.log(sum) + highest - (row[label] ?? 0);
      this.#count++;
      const answers = this.#confusion[label];
      const answer = row.indexOf(highest);
      if (answers && answer >= 0) answers[answer] = (answers[answer] ?? 0) + 1;
    });
  }

  result(): Evaluation {
    const confusion = this.#confusion;
    return { loss: this.#loss / this.#count, accuracy: accuracyOf(confusion), confusion };
  }
}

/** Share of right answers. */
export function accuracyOf(confusion: readonly (readonly number[])[]): number {
  const total = confusion.flat().reduce((sum, count) => sum + count, 0);
  const right = confusion.reduce((sum, row, label) => sum + (row[label] ?? 0), 0);
  return total === 0 ? 0 : right / total;
}
