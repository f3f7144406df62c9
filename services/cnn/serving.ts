import type { NamedTensor, TensorSpec } from './tensors/tensor.js';

/** What a model's ONNX file says about itself. */
export interface ModelSignature {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** Who wrote the file, such as `pytorch 2.13`; may be empty. */
  readonly producer: string;
  /** Version of ONNX's operators. */
  readonly opset: number;
}

/** How a model is run. */
export interface Arrangement {
  /** Worker threads that run it side by side. */
  readonly workers: number;
  /** Threads that work on one run. */
  readonly threads: number;
  /** Most requests in one run; 1 where its first dimension is fixed. */
  readonly maxBatch: number;
  /** Longest time that a request waits for others, ms; 0 = only what waits for a worker anyway is put together. */
  readonly maxDelayMs: number;
  /** Why: the figures that were measured, or who fixed it. */
  readonly reason: string;
}

/** Where the time of one answer went. */
export interface InferenceTimes {
  readonly queueUs: number;
  readonly decodeUs: number;
  readonly computeUs: number;
  readonly outputUs: number;
  /** How many requests were computed together. */
  readonly batch: number;
}

/** How pixels become the input of a model; see `card.ts`. */
export interface PixelInput {
  readonly name: string;
  readonly layout: 'NCHW' | 'NHWC';
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly colorOrder: 'RGB' | 'BGR';
  readonly scale: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** One request to a loaded model. Batching puts requests together whose inputs have the same names, datatypes and shapes but for the first dimension. */
export type RunRequest = (
  | {
      readonly kind: 'pixels';
      /** width x height x channels bytes, interleaved, already scaled; stays as it is until the run has ended. The worker makes the tensor. */
      readonly pixels: Uint8Array;
      readonly input: PixelInput;
    }
  | { readonly kind: 'tensors'; readonly inputs: readonly NamedTensor[] }
) & {
  /** Names of the outputs wanted, at least one. */
  readonly outputs: readonly string[];
  /** When its answer is worth nothing any more, ms since 1970. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
};

export interface RunResult {
  /** In the order of `outputs`. */
  readonly outputs: readonly NamedTensor[];
  readonly times: Omit<InferenceTimes, 'decodeUs'>;
}

/** What is loaded: bytes that were verified, and how to run them. */
export interface ModelSource {
  /** For errors and metrics. */
  readonly name: string;
  readonly version: number;
  /** Path of `model.onnx`. */
  readonly file: string;
  /** Hex. What is loaded has this hash, or loading fails. */
  readonly sha256: string;
  readonly signature: ModelSignature;
  /** An inner tensor to yield as well, under its own name; see `onnx/embedding-output.ts`. */
  readonly extraOutput: { readonly name: string } | undefined;
  /** What a card fixes of the arrangement. */
  readonly fixed: Partial<Pick<Arrangement, 'workers' | 'threads' | 'maxBatch' | 'maxDelayMs'>>;
  /** Shape of one request for measuring, where the signature leaves it open: by input name. */
  readonly exampleShapes: ReadonlyMap<string, readonly number[]>;
}

/** What a loaded model has done since the node started; sums over all requests. */
export interface ModelCounts {
  readonly requests: number;
  readonly failures: number;
  readonly runs: number;
  readonly queueUs: number;
  readonly decodeUs: number;
  readonly computeUs: number;
  readonly outputUs: number;
  /** Requests under way or waiting. */
  readonly underWay: number;
  /** 0 = never. */
  readonly lastUsedMs: number;
  /** Runs and their computing time by how many requests they held. */
  readonly batches: ReadonlyMap<number, { readonly runs: number; readonly computeUs: number }>;
}

/** A model in memory. */
export interface LoadedModel {
  readonly source: ModelSource;
  readonly arrangement: Arrangement;
  /** About. */
  readonly memoryBytes: number;
  /** Before a request is made ready: throws QUEUE_FULL, CANT_MAKE_DEADLINE or DEADLINE_EXCEEDED where `run` would refuse it now anyway. */
  check(deadlineMs: number): void;
  /**
   * Errors: QUEUE_FULL (with a retry time), CANT_MAKE_DEADLINE, DEADLINE_EXCEEDED, INVALID_ARGUMENT for tensors that the model refuses,
   * MODEL_FAILED for what its run throws, NODE_STOPPING.
   */
  run(request: RunRequest): Promise<RunResult>;
  /** Refuses new runs, waits for those under way, frees the memory. Idempotent. */
  unload(): Promise<void>;
}

/** Loads and runs models in worker threads. Owns the threads. */
export interface ModelExecutor extends AsyncDisposable {
  /** Throws MODEL_CORRUPT (FAILED_PRECONDITION) with one line why: wrong hash, unsupported operator, no such output. A warm-up run is part of it. */
  load(source: ModelSource): Promise<LoadedModel>;
  /** Counts survive unloading and reloading. */
  counts(name: string, version: number): ModelCounts;
  /** Adds the time that a picture took to decode to the counts and metrics of a model. */
  decoded(name: string, version: number, us: number): void;
}
