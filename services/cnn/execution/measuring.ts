import type { InferenceSession } from 'onnxruntime-node';

import { toOrt } from '../tensors/ort.js';
import type { NamedTensor } from '../tensors/tensor.js';
import { concatenate, splitOutputs } from './batch-run.js';
import type { Measured, Measurement, SessionSource } from './messages.js';

/** Largest difference, of 1 + the number itself, that counts as the same answer. */
const TOLERANCE = 1e-5;
const SEED = 2_654_435_761;

type Feeds = Record<string, ReturnType<typeof toOrt>>;

/** Runs a model over and over on an example, for so long. */
export async function measure(
  session: InferenceSession,
  example: readonly NamedTensor[],
  { batch, durationMs }: Measurement,
  stop: Int32Array,
): Promise<Measured> {
  const feeds = feedsOf(example.map((tensor) => varied(tensor, batch)));
  await session.run(feeds);
  const times: number[] = [];
  const startedAt = performance.now();
  let endedAt = startedAt;
  while (endedAt - startedAt < durationMs && Atomics.load(stop, 0) === 0) {
    const from = endedAt;
    await session.run(feeds);
    endedAt = performance.now();
    times.push(endedAt - from);
  }
  times.sort((a, b) => a - b);
  const runMs = times[Math.floor(times.length / 2)] ?? 0;
  return { runs: times.length, elapsedMs: endedAt - startedAt, runMs };
}

/** Whether each request of a batch gets what it gets alone: a first dimension that is free need not be one of requests. */
export async function compareBatch(
  session: InferenceSession,
  { example, outputs }: SessionSource,
  batch: number,
): Promise<{ same: boolean }> {
  const each = Array.from({ length: batch }, (_, index) =>
    example.map((tensor) => varied(tensor, 1, index)),
  );
  const together = feedsOf(
    example.map((tensor, at) => concatenate(each.map((inputs) => inputs[at] ?? tensor))),
  );
  const rows = each.map((inputs) => inputs[0]?.shape[0] ?? 1);
  const split = splitOutputs(await session.run(together, outputs), outputs, rows);
  if (!split) return { same: false };
  for (const [index, inputs] of each.entries()) {
    const [alone] = splitOutputs(await session.run(feedsOf(inputs), outputs), outputs, [1]) ?? [];
    const part = split[index];
    if (!alone || !part || !('outputs' in alone) || !('outputs' in part)) return { same: false };
    const lone = alone.outputs;
    if (!part.outputs.every((tensor, at) => isSame(tensor, lone[at]))) return { same: false };
  }
  return { same: true };
}

function feedsOf(tensors: readonly NamedTensor[]): Feeds {
  return Object.fromEntries(tensors.map((tensor) => [tensor.name, toOrt(tensor)]));
}

/** `copies` of an example, its floating-point numbers filled with noise; the same for the same `salt`. */
function varied(example: NamedTensor, copies: number, salt = 0): NamedTensor {
  const tensor =
    copies === 1 ? example : concatenate(Array.from({ length: copies }, () => example));
  if (tensor.datatype !== 'FP32') return tensor;
  const numbers = new Float32Array(tensor.data.length / Float32Array.BYTES_PER_ELEMENT);
  let state = SEED + salt;
  for (let at = 0; at < numbers.length; at++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    numbers[at] = state / 2 ** 32;
  }
  return { ...tensor, data: new Uint8Array(numbers.buffer) };
}

function isSame(one: NamedTensor, other: NamedTensor | undefined): boolean {
  if (other?.data.length !== one.data.length) return false;
  if (one.datatype !== 'FP32') return one.data.every((byte, at) => byte === other.data[at]);
  const [left, right] = [numbersOf(one), numbersOf(other)];
  return left.every((value, at) => {
    const expected = right[at] ?? Number.NaN;
    return (
      Object.is(value, expected) ||
      Math.abs(value - expected) <= TOLERANCE * (1 + Math.abs(expected))
    );
  });
}

function numbersOf({ data }: NamedTensor): Float32Array {
  return new Float32Array(data.slice().buffer);
}
