import type { Memory } from '../../protos/gen/fractory/v1/value.js';
import type { Depot } from './depot.js';
import type { FileRef } from './failures.js';
import type { FileContent } from './file-content.js';
import type { FileRecord } from './metadata.js';
import type { StepKey } from './shelf.js';

/** A file as callers see it. */
export interface StoredFile extends FileRef {
  /** Grows with every write of this name; never used twice. */
  readonly version: bigint;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly mediaType: string;
  readonly modifiedMs: number;
}

/** An open file; it stays what it was when it was opened, whatever is written meanwhile. Dispose it. */
export interface OpenedFile extends AsyncDisposable {
  readonly file: StoredFile;
  /** The content, once. The end without an error says that its hash was right. */
  chunks(): AsyncIterable<Uint8Array>;
}

/** A file that its readers get without this device in between, or as content that is read piece by piece. */
export type SharedFile =
  | { readonly kind: 'content'; readonly file: StoredFile; readonly content: FileContent }
  | { readonly kind: 'memory'; readonly file: StoredFile; readonly memory: Memory };

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Write only if the file has this version now; 0 = only if it doesn't exist. */
  readonly ifVersion?: bigint | undefined;
  /** Empty or absent = told from the name, else from the first bytes. */
  readonly mediaType?: string | undefined;
  /** Hex; the write is refused unless the content has this hash. */
  readonly sha256?: string | undefined;
  /** A repeat by the same step with the same content is not a new version. */
  readonly step?: StepKey | undefined;
}

export type DeleteOptions = Pick<WriteOptions, 'ifVersion' | 'step'>;

export interface ListOptions extends CallOptions {
  /** Empty or absent = all clients. */
  readonly client?: string;
  readonly prefix?: string;
  /** 0 or absent = the limit `max_page_size`, which is also the most. */
  readonly pageSize?: number;
  /** `nextPageToken` of the page before. */
  readonly pageToken?: string;
}

export interface StoreOptions {
  /** Default: the system's clock; ms since 1970. */
  readonly now?: () => number;
  /**
   * The epoch in which this process leads, asked at the beginning of each change; throws where it does not lead. A change is refused (FENCED) if
   * by then, or before it is made, a leader of a later epoch has begun. Default: whoever has the folder may change it.
   */
  readonly epoch?: () => bigint;
  /** Hears of the later epoch each time that a change is refused for one. */
  readonly onFenced?: (by: bigint) => void;
  /** Where content lies that is not in the folder; needed as long as there is any. */
  readonly depot?: Depot;
  /** Whether new content goes there. Default: it does if there is a depot. */
  readonly writesToDepot?: boolean;
}

export interface FilePage {
  readonly files: readonly StoredFile[];
  /** Empty = this was the last page. */
  readonly nextPageToken: string;
}

export function storedFile(ref: FileRef, record: FileRecord): StoredFile {
  const { version, sizeBytes, sha256, mediaType, modifiedMs } = record;
  const { client, name } = ref;
  return { client, name, version, sizeBytes, sha256, mediaType, modifiedMs };
}
