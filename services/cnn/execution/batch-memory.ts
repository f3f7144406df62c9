import type { PixelInput, RunRequest } from '../serving.js';
import type { RunInput } from './messages.js';

/** Tensors start at multiples of this. */
const ALIGNMENT = 16;
/**
 * Memory that is kept for the next batch, at most: 13 tensors of 224 x 224 colours as FP32, or 50 pictures. What is larger gets memory of its own each time, for
 * about 0.3 ms a MiB, which is little beside a run on so much.
 */
const KEPT_BYTES = 8 * 1024 ** 2;

/** Memory that this thread and a worker share: inputs of a batch are copied into it once, at the moment when it is sent. Used by one batch at a time. */
export class BatchMemory {
  #memory = new SharedArrayBuffer(0);

  /** What it takes between two batches. */
  get keptBytes(): number {
    return this.#memory.byteLength;
  }

  /** The inputs as they can be sent; what the last batch had is overwritten. `numberOf` a pixel input, as the worker knows it. */
  pack(requests: readonly RunRequest[], numberOf: (input: PixelInput) => number): RunInput[] {
    const bytes = requests.reduce((sum, request) => sum + bytesOf(request), 0);
    const memory = this.#roomFor(bytes);
    let offset = 0;
    const copy = (data: Uint8Array): Uint8Array => {
      const shared = new Uint8Array(memory, offset, data.length);
      shared.set(data);
      offset += padded(data.length);
      return shared;
    };
    return requests.map((request) =>
      request.kind === 'pixels'
        ? { kind: 'pixels', pixels: copy(request.pixels), input: numberOf(request.input) }
        : {
            kind: 'tensors',
            inputs: request.inputs.map(({ name, datatype, shape, data }) => ({
              ...{ name, datatype, shape },
              data: copy(data),
            })),
          },
    );
  }

  #roomFor(bytes: number): SharedArrayBuffer {
    if (bytes > KEPT_BYTES) return new SharedArrayBuffer(bytes);
    if (bytes > this.#memory.byteLength)
      this.#memory = new SharedArrayBuffer(Math.min(KEPT_BYTES, 2 * bytes));
    return this.#memory;
  }
}

function bytesOf(request: RunRequest): number {
  if (request.kind === 'pixels') return padded(request.pixels.length);
  return request.inputs.reduce((sum, { data }) => sum + padded(data.length), 0);
}

function padded(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}
