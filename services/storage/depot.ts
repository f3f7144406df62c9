import type { Memory } from '../../protos/gen/fractory/v1/value.js';
import type { Chunks } from './abortable.js';

/** Where a content lies that is not in the storage folder: in extents of a block device. */
export interface Placement {
  /** Member whose device it is. */
  readonly device: string;
  /** Ids of extents: the content is their bytes one after the other. */
  readonly extents: readonly string[];
}

/** A content that lies elsewhere, and what is known of it. */
export interface PlacedContent {
  readonly placement: Placement;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly mediaType: string;
}

/** Content that its producer keeps: whoever stores it may have it copied from there. */
export interface KeptSource {
  readonly memory: Memory;
  /** The same content in chunks. */
  stream(): AsyncIterable<Uint8Array>;
}

export type ContentSource = Chunks | KeptSource;

export function chunksOf(source: ContentSource): Chunks {
  return 'memory' in source ? source.stream() : source;
}

export interface DepositOptions {
  /** `client/name`, for messages. */
  readonly what: string;
  /** Who made the extents and what for, in the form of `Owner.newName`: tells orphans from what is being written. */
  readonly label: string;
  /** Whether the first bytes are asked for even where they don't pass by here. */
  readonly wantsHead: boolean;
  readonly maxBytes: number;
  readonly signal: AbortSignal | undefined;
}

/** A content that was put away, durable. */
export interface Deposit {
  readonly placement: Placement;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
  /** The first bytes where they are known. */
  readonly head: Uint8Array;
}

/** A content that stays what it is, released or not, until it is disposed of or its time is over. */
export interface OpenContent extends AsyncDisposable {
  /** The content, once. Its end without an error says that it is whole and right. */
  chunks(): AsyncIterable<Uint8Array>;
}

/** An extent that exists. */
export interface KnownExtent {
  readonly id: string;
  readonly label: string;
}

/** Keeps the content of files elsewhere than in the storage folder, where their names and what is known of them stay. */
export interface Depot {
  /** Puts all of a content away. On any failure nothing is left. */
  deposit(source: ContentSource, options: DepositOptions): Promise<Deposit>;
  /** Opens the content for a reader of this node. EXTENT_NOT_FOUND where it was freed. */
  open(content: PlacedContent, signal?: AbortSignal): Promise<OpenContent>;
  /** The content as a memory of the device that has it, to be read until `untilMs` (ms since 1970). EXTENT_NOT_FOUND where it was freed. */
  memory(content: PlacedContent, untilMs: number, signal?: AbortSignal): Promise<Memory>;
  /** Nobody needs the content any more but those who have it open or were given its memory: it is freed after them. Never throws. */
  release(placement: Placement): void;
  /** Extents whose label starts with `prefix`, one page after the other, of all devices that it writes to. */
  extents(prefix: string, signal: AbortSignal): AsyncIterable<readonly KnownExtent[]>;
  /** Frees extents at once. */
  free(extents: readonly string[], signal: AbortSignal): Promise<void>;
}

/** What stands at the place of a file whose content lies elsewhere, for those who look into the folder. */
export function stubOf({ placement, sizeBytes, sha256 }: Omit<PlacedContent, 'mediaType'>): string {
  const { device, extents } = placement;
  return `fractory: ${String(sizeBytes)} bytes in ${String(extents.length)} extents of ${device}, SHA-256 ${sha256}\n`;
}
