/** Limits of a CNN device; past one there is an error that names it. Names as in the ini file. */
export interface CnnLimits {
  /** Bytes of a picture's file. */
  readonly max_image_bytes: number;
  /** Width times height of a picture, before it is scaled. */
  readonly max_image_pixels: number;
  /** Longest time for one picture, ms: decoding and inference each. */
  readonly max_compute_ms: number;
  /** Threads for inference; each holds every model. */
  readonly workers: number;
  /** Pictures under way at a time, decoding, waiting and computing. */
  readonly max_queued: number;
}

/** What tests and the ini file start from. */
export const DEFAULT_CNN_LIMITS: CnnLimits = {
  max_image_bytes: 16 * 1024 ** 2,
  max_image_pixels: 40_000_000,
  max_compute_ms: 10_000,
  workers: 1,
  max_queued: 256,
};
