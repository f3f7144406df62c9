import { status } from '@grpc/grpc-js';
import { Tensor as OrtTensor } from 'onnxruntime-node';
import type { InferenceSession } from 'onnxruntime-node';

import { FractoryError, limitExceeded, messageOf } from '../../../runtime/errors.js';
import { toFailure } from '../../../runtime/worker-tasks.js';
import { shapeOf } from '../pictures/tensor.js';
import type { PixelWriter } from '../pictures/tensor.js';
import type { PixelInput } from '../serving.js';
import { fromOrt, toOrt } from '../tensors/ort.js';
import type { NamedTensor } from '../tensors/tensor.js';
import type { RunInput, RunOutcome, RunReply } from './messages.js';

/** Before each element of BYTES. */
const LENGTH_BYTES = 4;

type Feeds = Record<string, OrtTensor>;
type PixelRequest = Extract<RunInput, { kind: 'pixels' }>;

/** How pixels become tensors, by the number of the input. */
export type PixelInputs = ReadonlyMap<number, { input: PixelInput; writer: PixelWriter }>;

/** Runs requests of one model on its session; keeps the memory of its input from run to run. */
export class BatchRunner {
  readonly #session: InferenceSession;
  readonly #inputs: PixelInputs;
  readonly #maxOutputBytes: number;
  #scratch = new Float32Array(0);

  /** `maxOutputBytes`: of all outputs of a request. */
  constructor(session: InferenceSession, inputs: PixelInputs, maxOutputBytes: number) {
    this.#session = session;
    this.#inputs = inputs;
    this.#maxOutputBytes = maxOutputBytes;
  }

  /**
   * Runs all together, or one by one where that fails, so that a bad request fails alone. Requests fit together: same kind, names, datatypes, and shapes but
   * for the first dimension.
   */
  async run(requests: readonly RunInput[], outputs: readonly string[]): Promise<RunReply> {
    const startedAt = performance.now();
    try {
      const found = await this.#session.run(this.#feedsOf(requests), outputs);
      const ranAt = performance.now();
      const split = splitOutputs(found, outputs, requests.map(rowsOf), this.#maxOutputBytes);
      if (split) return replyOf(split, startedAt, ranAt, false);
      return { ...(await this.#runSingly(requests, outputs)), inseparable: true };
    } catch (error) {
      if (requests.length > 1) return this.#runSingly(requests, outputs);
      return replyOf(
        [{ failure: toFailure(asRunError(error)) }],
        startedAt,
        performance.now(),
        false,
      );
    }
  }

  async #runSingly(requests: readonly RunInput[], outputs: readonly string[]): Promise<RunReply> {
    const outcomes: RunOutcome[] = [];
    let [computeUs, outputUs] = [0, 0];
    for (const request of requests) {
      const reply = await this.run([request], outputs);
      outcomes.push(...reply.outcomes);
      computeUs += reply.computeUs;
      outputUs += reply.outputUs;
    }
    return { outcomes, computeUs, outputUs, inseparable: false };
  }

  #feedsOf(requests: readonly RunInput[]): Feeds {
    const [first] = requests;
    if (first?.kind === 'pixels') return this.#pixelFeeds(requests as PixelRequest[], first.input);
    const each = requests.map((request) => (request.kind === 'tensors' ? request.inputs : []));
    const feeds: Feeds = {};
    for (const [index, tensor] of (each[0] ?? []).entries())
      feeds[tensor.name] = toOrt(
        // The runtime takes no memory that threads share, so that of one request is copied, too.
        each.length === 1
          ? owned(tensor)
          : concatenate(each.map((inputs) => inputs[index] ?? tensor)),
      );
    return feeds;
  }

  #pixelFeeds(requests: readonly PixelRequest[], number: number): Feeds {
    const known = this.#inputs.get(number);
    if (!known) throw new Error(`pixel input ${String(number)} was never told`);
    const { input, writer } = known;
    const length = writer.length * requests.length;
    if (this.#scratch.length < length) this.#scratch = new Float32Array(length);
    for (const [index, { pixels }] of requests.entries())
      writer.write(pixels, this.#scratch, index * writer.length);
    const data = this.#scratch.subarray(0, length);
    return { [input.name]: new OrtTensor('float32', data, shapeOf(input, requests.length)) };
  }
}

/** Tensors of equal shape but for the first dimension, one after the other. */
export function concatenate(tensors: readonly NamedTensor[]): NamedTensor {
  const [first] = tensors;
  if (!first) throw new Error('there is nothing to put together');
  const data = new Uint8Array(tensors.reduce((sum, tensor) => sum + tensor.data.length, 0));
  let offset = 0;
  for (const tensor of tensors) {
    data.set(tensor.data, offset);
    offset += tensor.data.length;
  }
  const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 0), 0);
  return { ...first, shape: [rows, ...first.shape.slice(1)], data };
}

/** First dimension of a request. */
function rowsOf(request: RunInput): number {
  return request.kind === 'pixels' ? 1 : (request.inputs[0]?.shape[0] ?? 1);
}

/**
 * The outputs of each request, or undefined where they don't have a row for each row of the inputs. A single request gets all. Those of a request that are
 * larger than `maxBytes` together are not copied: it fails with LIMIT_EXCEEDED.
 */
export function splitOutputs(
  found: Readonly<Record<string, OrtTensor>>,
  names: readonly string[],
  rows: readonly number[],
  maxBytes = Infinity,
): RunOutcome[] | undefined {
  const tensors = names.map((name) => {
    const tensor = found[name];
    if (!tensor) throw new Error(`the run yielded no output ${name}`);
    return [name, tensor] as const;
  });
  if (rows.length === 1) {
    const bytes = tensors.reduce((sum, [, tensor]) => sum + bytesIn(tensor, 0, tensor.size), 0);
    if (bytes > maxBytes) return [tooLarge(bytes, maxBytes)];
    return [{ outputs: tensors.map(([name, tensor]) => owned(fromOrt(name, tensor))) }];
  }
  const total = rows.reduce((sum, count) => sum + count, 0);
  if (tensors.some(([, tensor]) => tensor.dims[0] !== total)) return undefined;
  let start = 0;
  return rows.map((count) => {
    const from = start;
    start += count;
    const bytes = tensors.reduce((sum, [, tensor]) => {
      const each = tensor.size / total;
      return sum + bytesIn(tensor, from * each, (from + count) * each);
    }, 0);
    if (bytes > maxBytes) return tooLarge(bytes, maxBytes);
    return { outputs: tensors.map(([name, tensor]) => rowsFrom(name, tensor, from, count)) };
  });
}

/** What some elements of a tensor take as an answer. */
function bytesIn({ data }: OrtTensor, from: number, to: number): number {
  if (ArrayBuffer.isView(data)) return (data.byteLength / data.length) * (to - from) || 0;
  let bytes = 0;
  for (let at = from; at < to; at++)
    bytes += LENGTH_BYTES + Buffer.byteLength((data as readonly string[])[at] ?? '');
  return bytes;
}

function tooLarge(bytes: number, maxBytes: number): RunOutcome {
  const what = 'size of the outputs';
  return { failure: toFailure(limitExceeded('max_output_bytes', bytes, maxBytes, { what })) };
}

function rowsFrom(name: string, tensor: OrtTensor, from: number, count: number): NamedTensor {
  const each = tensor.size / (tensor.dims[0] ?? 1);
  const shape = [count, ...tensor.dims.slice(1)];
  const data = tensor.data.slice(from * each, (from + count) * each);
  const part = { type: tensor.type, dims: shape, data } as unknown as OrtTensor;
  return fromOrt(name, part);
}

/** With memory of its own, which can move to another thread. */
function owned(tensor: NamedTensor): NamedTensor {
  return { ...tensor, data: tensor.data.slice() };
}

function replyOf(
  outcomes: readonly RunOutcome[],
  startedAt: number,
  ranAt: number,
  inseparable: boolean,
): RunReply {
  const outputUs = Math.round((performance.now() - ranAt) * 1000);
  return { outcomes, computeUs: Math.round((ranAt - startedAt) * 1000), outputUs, inseparable };
}

/** What ONNX Runtime throws, as INVALID_ARGUMENT where it is about the inputs, or else MODEL_FAILED. */
function asRunError(error: unknown): FractoryError {
  if (error instanceof FractoryError) return error;
  const [line = ''] = messageOf(error).split('\n');
  if (/invalid (rank|dimension|feed input)|unexpected input data type/i.test(line))
    return new FractoryError(status.INVALID_ARGUMENT, 'BAD_TENSOR', `inputs: ${line}`, {
      ...{ cause: error, violations: [{ field: 'inputs', description: line }] },
    });
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'MODEL_FAILED',
    `the model can't compute this input: ${line}`,
    { cause: error },
  );
}
