/** Limits of a block device; past one there is an error that names it. Names as in the ini file. */
export interface BlockLimits {
  /** Extents that the device holds. */
  readonly max_extents: number;
  /** Largest extent. */
  readonly max_extent_bytes: number;
  /** Extents of one memory, and of one call. */
  readonly max_open_extents: number;
  /** Extents on one page of a list. */
  readonly max_page_size: number;
  /** How long the start waits for another process that serves the same device file. */
  readonly lock_timeout_ms: number;
}

/** What tests and the ini file start from. */
export const DEFAULT_BLOCK_LIMITS: BlockLimits = {
  max_extents: 100_000,
  max_extent_bytes: 1024 ** 3,
  max_open_extents: 4096,
  max_page_size: 1000,
  lock_timeout_ms: 5000,
};

export const MAX_LABEL_CHARACTERS = 512;
export const MIN_PREFIX_CHARACTERS = 16;
