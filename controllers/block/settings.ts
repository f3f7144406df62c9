import type { z } from 'zod';

import { bytes, integer, section, text } from '../../config/fields.js';
import { DEFAULT_BLOCK_LIMITS as DEFAULTS } from '../../services/block/limits.js';

/** The block device's own keys in the ini file. */
export const settings = section({
  /** The device file; NAME stands for the member's name. */
  device_path: text().default('.fractory/block/NAME.img'),
  /** Size of the device. It takes room on the disk only as it is written; it can grow at a later start. */
  capacity_bytes: bytes(1024 ** 2, 16 * 1024 ** 4).default(1024 ** 3),
  /** Size of a block; never changes in the life of a device file. */
  block_bytes: bytes(512, 1024 ** 2)
    .refine((value) => Number.isInteger(Math.log2(value)), 'expected a power of two')
    .default(4096),
  /** Extents that the device holds. */
  max_extents: integer(1, 10_000_000).default(DEFAULTS.max_extents),
  /** Largest extent. */
  max_extent_bytes: bytes(512, 16 * 1024 ** 4).default(DEFAULTS.max_extent_bytes),
  /** Extents of one memory, and of one call. */
  max_open_extents: integer(1, 100_000).default(DEFAULTS.max_open_extents),
  /** Extents on one page of a list. */
  max_page_size: integer(1, 100_000).default(DEFAULTS.max_page_size),
  /** How long the start waits for another process that serves the same device file, ms. */
  lock_timeout_ms: integer(0, 600_000).default(DEFAULTS.lock_timeout_ms),
});

export type BlockSettings = z.output<typeof settings>;
