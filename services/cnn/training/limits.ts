import type { CnnLimits } from '../limits.js';

/** Limits of training; past one there is an error that names it. Names as in the ini file. */
export interface TrainingLimits extends Pick<
  CnnLimits,
  'max_image_bytes' | 'max_image_pixels' | 'max_compute_ms'
> {
  /** Bytes of an uploaded data set. */
  readonly max_data_set_bytes: number;
  /** Bytes of all uploaded data sets: before it is passed, those that were used longest ago leave. */
  readonly max_data_sets_bytes: number;
  /** Files of a data set, whether they are pictures or not. */
  readonly max_training_pictures: number;
  /** Memory for decoded pictures. */
  readonly max_training_memory_bytes: number;
  /** Threads that compute steps; 0 = as many as there are cores. */
  readonly training_threads: number;
}

/** What tests and the ini file start from; the rest are limits of pictures. */
export const DEFAULT_TRAINING_LIMITS = {
  max_data_set_bytes: 8 * 1024 ** 3,
  max_data_sets_bytes: 20 * 1024 ** 3,
  max_training_pictures: 200_000,
  max_training_memory_bytes: 4 * 1024 ** 3,
  training_threads: 0,
} as const;
