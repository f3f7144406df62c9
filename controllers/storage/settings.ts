import type { z } from 'zod';

import type { MemberNeed } from '../../config/data-center-config.js';
import { bytes, integer, oneOf, section, text } from '../../config/fields.js';
import { DEFAULT_STORAGE_LIMITS as DEFAULTS } from '../../services/storage/limits.js';

/** The storage device's own keys in the ini file. */
export const settings = section({
  /** Where the content of new files goes: into the storage folder, or into extents of a block device. What is there stays where it is. */
  backend: oneOf('files', 'block').default('files'),
  /** Member whose block device it is. All storage members have the same. */
  block_member: text().default('block-1'),
  /** How long the content of a replaced or deleted file is kept on the block device for those who read it, at most, ms. */
  block_linger_ms: integer(0, 3_600_000).default(60_000),
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
  /** Largest file that is read as text or an integer. */
  max_text_bytes: bytes(1, 64 * 1024 ** 2).default(DEFAULTS.max_text_bytes),
  /** Files that are kept open for the results of runs. */
  max_kept_files: integer(1, 1_000_000).default(DEFAULTS.max_kept_files),
  /** How long a write waits for other processes that write the same name, ms. */
  lock_timeout_ms: integer(1, 600_000).default(DEFAULTS.lock_timeout_ms),
});

export type StorageSettings = z.output<typeof settings>;

/** With `backend = block` no file can be written without that member. */
export function needs({ backend, block_member: member }: StorageSettings): readonly MemberNeed[] {
  return backend === 'block' ? [{ type: 'block', member, setting: 'backend = block' }] : [];
}
