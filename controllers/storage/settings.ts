import type { z } from 'zod';

import { bytes, integer, section } from '../../config/fields.js';
import { DEFAULT_STORAGE_LIMITS as DEFAULTS } from '../../services/storage/limits.js';

/** The storage device's own keys in the ini file. */
export const settings = section({
  /** Largest file that is accepted. */
  max_file_bytes: bytes(1, 1024 ** 4).default(DEFAULTS.max_file_bytes),
  /** Size of the chunks of a download. */
  chunk_bytes: bytes(4096, 1024 ** 2).default(DEFAULTS.chunk_bytes),
  /** Largest chunk that an upload may send. */
  max_chunk_bytes: bytes(4096, 32 * 1024 ** 2).default(DEFAULTS.max_chunk_bytes),
  /** Files up to this size are verified before their first byte is sent, larger ones before their last chunk is. */
  verify_first_bytes: bytes(0, 64 * 1024 ** 2).default(DEFAULTS.verify_first_bytes),
  /** Uploads and downloads at a time. */
  max_transfers: integer(1, 100_000).default(DEFAULTS.max_transfers),
  /** Files on one page of a list. */
  max_page_size: integer(1, 100_000).default(DEFAULTS.max_page_size),
  /** Files that the operation storage.list yields. */
  max_listed_files: integer(1, 10_000_000).default(DEFAULTS.max_listed_files),
  /** Largest file that is read as JSON. */
  max_json_bytes: bytes(1, 64 * 1024 ** 2).default(DEFAULTS.max_json_bytes),
  /** How long a write waits for other processes that write the same name, ms. */
  lock_timeout_ms: integer(1, 600_000).default(DEFAULTS.lock_timeout_ms),
});

export type StorageSettings = z.output<typeof settings>;
