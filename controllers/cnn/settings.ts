import type { z } from 'zod';

import { bytes, integer, oneOf, section, text } from '../../config/fields.js';
import { DEFAULT_TRAINING_LIMITS } from '../../services/cnn/training/limits.js';

/** Keys of the section of a CNN controller. */
export const settings = section({
  /** Model of calls that name none. It is loaded at the start, others at their first use. */
  default_model: text().default('cats-vs-dogs'),
  /** A folder with more models, NAME/VERSION/{model.onnx,model.json}; relative to the folder of the product. */
  models_path: text().optional(),
  /** Bytes of a picture's file. */
  max_image_bytes: bytes(1024, 1024 ** 3).default(16 * 1024 ** 2),
  /** Width times height of a picture. */
  max_image_pixels: integer(1, 2_000_000_000).default(40_000_000),
  /** Bytes of all input tensors of a request. */
  max_tensor_bytes: bytes(1024, 1024 ** 3).default(64 * 1024 ** 2),
  /** Bytes of all output tensors of a request: a model that yields more fails. */
  max_output_bytes: bytes(1024, 1024 ** 3).default(64 * 1024 ** 2),
  /** Elements of all typed contents of a request of the Open Inference Protocol; raw contents have no such limit. */
  max_typed_elements: integer(1, 10_000_000).default(1_000_000),
  /** Longest time for one picture, ms. */
  max_compute_ms: integer(10, 600_000).default(10_000),
  /** Requests under way at a time; more are refused. */
  max_queued: integer(1, 100_000).default(256),
  /** Bytes of the pictures and tensors of all requests under way; more are refused. A request that is alone is always taken. */
  max_queued_bytes: bytes(1024, 1024 ** 4).default(512 * 1024 ** 2),
  /** Memory for loaded models: before it is passed, the least recently used one that is idle leaves. */
  max_models_bytes: bytes(1024, 1024 ** 4).default(1024 ** 3),
  /** Threads for inference; 0 = as many as the machine has cores. */
  workers: integer(0, 64).default(0),
  /** Threads that work on one run; 0 = chosen for each model. */
  threads: integer(0, 64).default(0),
  /** Most requests in one run; 0 = chosen for each model. */
  max_batch: integer(0, 1024).default(0),
  /** Longest time that a request waits for others to share its run, ms; 0 = only those share that wait for a thread anyway. */
  max_delay_ms: integer(0, 10_000).default(0),
  /**
   * auto = when a model is loaded and the node is idle, measure which threads and batches are fastest for it (1 s at most; remembered in
   * .fractory/models/.tuning.json); off = one request per thread. What the card's `execution` or the keys above fix is not measured.
   */
  tune: oneOf('auto', 'off').default('auto'),
  /** Time between two looks at the folders of models, where the operating system tells of no change, ms. */
  rescan_ms: integer(100, 3_600_000).default(5000),
  /** Bytes of a data set that is uploaded to train with; unpacked too. */
  max_data_set_bytes: bytes(1024, 1024 ** 4).default(DEFAULT_TRAINING_LIMITS.max_data_set_bytes),
  /** Bytes of all data sets in .fractory/training/data: before it is passed, those that were used longest ago and that no training needs leave. */
  max_data_sets_bytes: bytes(1024, 1024 ** 4).default(DEFAULT_TRAINING_LIMITS.max_data_sets_bytes),
  /** Files of a data set, pictures or not. */
  max_training_pictures: integer(32, 10_000_000).default(
    DEFAULT_TRAINING_LIMITS.max_training_pictures,
  ),
  /** Memory for the decoded pictures of a training. */
  max_training_memory_bytes: bytes(1024 ** 2, 1024 ** 4).default(
    DEFAULT_TRAINING_LIMITS.max_training_memory_bytes,
  ),
  /** Threads that compute the steps of a training; 0 = as many as the machine has cores. */
  training_threads: integer(0, 64).default(DEFAULT_TRAINING_LIMITS.training_threads),
});

export type CnnSettings = z.output<typeof settings>;
