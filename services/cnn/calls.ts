import { invalidArgument } from '../../runtime/errors.js';
import type { LabelProbability } from './pictures/tensor.js';
import type { InferenceTimes } from './serving.js';
import type { NamedTensor } from './tensors/tensor.js';

/** What all calls may say. */
export interface CallOptions {
  /** Empty or absent = the node's default model. */
  readonly model?: string;
  /** 0 or absent = the pinned one, or else the newest that can be used. */
  readonly version?: number;
  readonly signal?: AbortSignal;
  /** When the answer is worth nothing any more, ms since 1970; `max_compute_ms` from now at the latest. */
  readonly deadlineMs?: number;
}

export interface PredictOptions extends CallOptions {
  /** How many labels; 0 or absent = 5. */
  readonly topK?: number;
}

/** Who answered, and where the time went. */
export interface Answer {
  readonly model: string;
  readonly version: number;
  readonly times: InferenceTimes;
}

/** What a model sees in a picture. */
export interface Prediction extends Answer {
  /** The most probable first. */
  readonly labels: readonly LabelProbability[];
}

/** A picture as a vector. */
export interface Embedding extends Answer {
  readonly values: Float32Array;
}

/** What a model makes of tensors. */
export interface Inference extends Answer {
  /** In the order in which they were asked for, or of the model. */
  readonly outputs: readonly NamedTensor[];
}

/** A whole number from 0 up; absent = 0. Throws OUT_OF_RANGE with the field. */
export function countOf(field: string, value = 0): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalidArgument(
      field,
      `${String(value)} is not a whole number from 0 up`,
      'OUT_OF_RANGE',
    );
  return value;
}
