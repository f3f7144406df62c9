/** Limits of a storage device; past one there is an error that names it. Names as in the ini file. */
export interface StorageLimits {
  /** Largest file that is accepted. */
  readonly max_file_bytes: number;
  /** Size of the chunks that a read hands out. */
  readonly chunk_bytes: number;
  /** Largest chunk that an upload may send. */
  readonly max_chunk_bytes: number;
  /** Files up to this size are verified before their first byte is handed out, larger ones before their last chunk is. */
  readonly verify_first_bytes: number;
  /** Uploads and downloads at a time. */
  readonly max_transfers: number;
  /** Files on one page of a list. */
  readonly max_page_size: number;
  /** Files that the operation storage.list yields. */
  readonly max_listed_files: number;
  /** Largest file that is read as JSON. */
  readonly max_json_bytes: number;
  /** Largest file that is read as text or an integer: it is loaded. */
  readonly max_text_bytes: number;
  /** Files that are kept open for the results of runs. */
  readonly max_kept_files: number;
  /** How long a write waits for other processes that write the same name. */
  readonly lock_timeout_ms: number;
}

/** What tests and the ini file start from. */
export const DEFAULT_STORAGE_LIMITS: StorageLimits = {
  max_file_bytes: 1024 ** 3,
  chunk_bytes: 256 * 1024,
  max_chunk_bytes: 4 * 1024 ** 2,
  verify_first_bytes: 1024 ** 2,
  max_transfers: 256,
  max_page_size: 1000,
  max_listed_files: 10_000,
  max_json_bytes: 1024 ** 2,
  max_text_bytes: 16 * 1024 ** 2,
  max_kept_files: 4096,
  lock_timeout_ms: 10_000,
};
