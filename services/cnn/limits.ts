/** Limits of a CNN device; past one there is an error that names it. Names as in the ini file. */
export interface CnnLimits {
  /** Bytes of a picture's file. */
  readonly max_image_bytes: number;
  /** Width times height of a picture, before it is scaled. */
  readonly max_image_pixels: number;
  /** Bytes of all input tensors of a request. */
  readonly max_tensor_bytes: number;
  /** Bytes of all output tensors of a request: past it nothing is answered but the error. */
  readonly max_output_bytes: number;
  /** Elements of typed contents of an Open Inference request, which take far more memory than their bytes; raw contents have no such limit. */
  readonly max_typed_elements: number;
  /** Longest time for one picture, ms: decoding and inference each. */
  readonly max_compute_ms: number;
  /** Requests under way at a time, decoding, waiting and computing. */
  readonly max_queued: number;
  /** Bytes of the pictures and input tensors of all requests under way. */
  readonly max_queued_bytes: number;
  /** Bytes of memory for loaded models; before it is passed, the least recently used one that is idle leaves. */
  readonly max_models_bytes: number;
  /** Threads for inference; 0 = as many as the machine has cores. */
  readonly workers: number;
  /** Threads that work on one run; 0 = chosen for each model. */
  readonly threads: number;
  /** Most requests in one run; 0 = chosen for each model. */
  readonly max_batch: number;
  /** Longest time that a request waits for others to share its run, ms; 0 = only those that wait for a thread anyway share. */
  readonly max_delay_ms: number;
  /** `auto` measures which arrangement of threads and batches is fastest for a model; `off` runs one request per thread. A card's `execution` comes before either. */
  readonly tune: 'auto' | 'off';
  /** Time between two looks at the folders of models, where the operating system tells of no change, ms. */
  readonly rescan_ms: number;
}

/** What tests and the ini file start from. */
export const DEFAULT_CNN_LIMITS: CnnLimits = {
  max_image_bytes: 16 * 1024 ** 2,
  max_image_pixels: 40_000_000,
  max_tensor_bytes: 64 * 1024 ** 2,
  max_output_bytes: 64 * 1024 ** 2,
  max_typed_elements: 1_000_000,
  max_compute_ms: 10_000,
  max_queued: 256,
  max_queued_bytes: 512 * 1024 ** 2,
  max_models_bytes: 1024 ** 3,
  workers: 0,
  threads: 0,
  max_batch: 0,
  max_delay_ms: 0,
  tune: 'auto',
  rescan_ms: 5000,
};
