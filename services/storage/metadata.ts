import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { systemCodeOf } from '../../runtime/errors.js';
import type { Placement } from './depot.js';
import { dataLoss } from './failures.js';
import type { FileRef } from './failures.js';

/** What is known of one content of a file. */
export interface FileRecord {
  readonly version: bigint;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly mediaType: string;
  readonly modifiedMs: number;
  /** Inode of the content: tells old from new while a write is half done. Means nothing after a copy to another disk. */
  readonly inode: string;
  /**
   * Of a file that was found in the folder, put there by other means: its modification time, ns. It belongs to its user, so
   * another time or size means a new version. Content that was written here has none: any difference is damage.
   */
  readonly foundMtimeNs?: string;
  /** The content lies elsewhere; what stands at the file's place is `stubOf` this. */
  readonly placement?: Placement;
}

/** An effect that a step of a run has had. */
export interface Done {
  readonly run: string;
  readonly step: string;
  /** What the step wrote, without its placement; absent = it deleted the file. */
  readonly file?: FileRecord | undefined;
}

/** A change that is about to be made: once the content of `file` stands at its place, it has been made. */
export interface Pending {
  /** Absent = a deletion. */
  readonly file?: FileRecord | undefined;
  /** Name of the temporary file. */
  readonly staged?: string;
  readonly done?: Done | undefined;
}

/** All that is kept of a name, also after it was deleted. */
export interface Metadata {
  /** Invariant: at least every version that was ever given to the name. */
  readonly lastVersion: bigint;
  readonly file?: FileRecord | undefined;
  readonly pending?: Pending | undefined;
  /** The latest effects, newest last. */
  readonly done: readonly Done[];
}

const NO_METADATA: Metadata = { lastVersion: 0n, done: [] };
const MAX_DONE = 8;

/** The metadata with one more remembered effect. */
export function withDone(done: readonly Done[], added: Done | undefined): readonly Done[] {
  return added ? [...done, added].slice(-MAX_DONE) : done;
}

/** One line of JSON and one with its checksum. */
export function encode(metadata: Metadata): string {
  const json = JSON.stringify(metadata, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  );
  return `${json}\n${checksum(json)}\n`;
}

/** DATA_LOSS if it isn't what `encode` wrote. */
export function decode(ref: FileRef, text: string): Metadata {
  const [json = '', sum] = text.split('\n');
  if (sum !== checksum(json))
    throw dataLoss(
      ref,
      `has damaged metadata: move .fractory/meta/${ref.name}.json away to keep the content as it is`,
    );
  return JSON.parse(json, (key, value: unknown) =>
    key === 'version' || key === 'lastVersion' ? BigInt(String(value)) : value,
  ) as Metadata;
}

/** The text of a metadata file; empty if there is none. */
export async function readMetadataText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return '';
    throw error;
  }
}

export function metadataOf(ref: FileRef, text: string): Metadata {
  return text === '' ? NO_METADATA : decode(ref, text);
}

function checksum(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, 16);
}
