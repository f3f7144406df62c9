import type { WorkerFailure } from '../../../runtime/worker-tasks.js';
import type { PixelInput } from '../serving.js';
import type { NamedTensor, TensorSpec } from '../tensors/tensor.js';

/** What a worker has to know to load a model. */
export interface SessionSource {
  readonly file: string;
  readonly sha256: string;
  readonly inputs: readonly TensorSpec[];
  /** Outputs that it must have. */
  readonly outputs: readonly string[];
  readonly extraOutput: string | undefined;
  /** Threads for one run. */
  readonly threads: number;
  /** Tensors for a first run; empty = none. */
  readonly example: readonly NamedTensor[];
  /** A first run that fails means that the model can't be used. */
  readonly exampleMustRun: boolean;
  /** Of all outputs of a request; past it the request fails. */
  readonly maxOutputBytes: number;
}

/** Inputs of one request, as they travel to a worker. */
export type RunInput =
  /** `input`: number of a `PixelInput` that this or an earlier task told. */
  | { readonly kind: 'pixels'; readonly pixels: Uint8Array; readonly input: number }
  | { readonly kind: 'tensors'; readonly inputs: readonly NamedTensor[] };

/** What to measure. */
export interface Measurement {
  readonly batch: number;
  readonly durationMs: number;
}

/** What the measuring of one worker found. */
export interface Measured {
  readonly runs: number;
  readonly elapsedMs: number;
  /** Median time of a run. */
  readonly runMs: number;
}

/** Tasks for a worker; it does them one after the other. `model` is the key that the executor gave it. */
export type WorkerTask =
  | { readonly kind: 'load'; readonly model: string; readonly source: SessionSource }
  | { readonly kind: 'unload'; readonly model: string }
  | {
      readonly kind: 'run';
      readonly model: string;
      readonly outputs: readonly string[];
      readonly requests: readonly RunInput[];
      /** Told once to each thread. */
      readonly newInputs: readonly (readonly [number, PixelInput])[];
    }
  | {
      readonly kind: 'measure';
      readonly model: string;
      readonly measurement: Measurement;
      /** Ends early as soon as the first number is not 0. */
      readonly stop: Int32Array;
    }
  | { readonly kind: 'compare'; readonly model: string; readonly batch: number }
  /** The thread ends as soon as it reads this, whatever else waits. */
  | { readonly kind: 'end' };

/** What became of one request of a run. */
export type RunOutcome =
  { readonly outputs: readonly NamedTensor[] } | { readonly failure: WorkerFailure };

export interface RunReply {
  readonly outcomes: readonly RunOutcome[];
  readonly computeUs: number;
  readonly outputUs: number;
  /** The outputs can't be told apart by request: this model has to run its requests one by one. */
  readonly inseparable: boolean;
}

/** Replies by the kind of task. */
export interface TaskReplies {
  load: { readonly loadMs: number; readonly fileBytes: number; readonly residentBytes: number };
  unload: undefined;
  run: RunReply;
  measure: Measured;
  /** Whether a batch gives each request what it gets alone. */
  compare: { readonly same: boolean };
  end: undefined;
}
