import { open, readFile, rename } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

import { messageOf, systemCodeOf } from '../../runtime/errors.js';
import { syncFolder } from '../../runtime/folder-sync.js';
import type { Logger } from '../../runtime/logger.js';
import type { Change, ExtentTable } from './extent-table.js';
import { deviceFailed, translate } from './failures.js';
import { encodeBatch, recover, snapshotLines } from './journal-text.js';
import type { JournalHeader, Recovered } from './journal-text.js';

export interface JournalOptions {
  readonly file: string;
  /** Name of the device, for messages. */
  readonly device: string;
  readonly log: Logger;
  /** A journal shorter than this is not compacted. */
  readonly compactBytes?: number;
}

type Identity = Pick<JournalHeader, 'device' | 'blockBytes' | 'capacityBlocks'>;

interface Waiting {
  readonly changes: readonly Change[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

const COMPACT_BYTES = 256 * 1024;
/** A journal is compacted when it is this many times as long as its snapshot was. */
const GROWTH = 4;

/**
 * The allocation table on disk: changes are appended, and made in the table when they are durable. Changes that come while others are written share
 * one write and one sync. When it has grown a snapshot takes its place, whole or not at all.
 */
export class Journal {
  readonly #options: JournalOptions;
  #handle: FileHandle;
  readonly #header: JournalHeader;
  readonly #table: ExtentTable;
  #batch: number;
  #endBytes: number;
  /** Length right after the last compaction. */
  #snapshotBytes: number;
  #waiting: Waiting[] = [];
  #flushing: Promise<void> | undefined;
  #failure: Error | undefined;

  private constructor(options: JournalOptions, handle: FileHandle, found: Recovered) {
    this.#options = options;
    this.#handle = handle;
    this.#header = found.header;
    this.#table = found.table;
    this.#batch = found.batch;
    this.#endBytes = found.endBytes;
    this.#snapshotBytes = found.endBytes;
  }

  /** What the journal at `file` says; undefined if there is none. */
  static async read(file: string, device: string): Promise<Recovered | undefined> {
    try {
      return recover(device, await readFile(file));
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Puts a journal in place that says what the table holds, durably. */
  static async create(file: string, identity: Identity, table: ExtentTable): Promise<void> {
    await writeBeside(file, snapshotLines({ ...identity, batch: 0 }, table));
    await moveInPlace(file);
  }

  /** Opens a journal that was read; what a crash has torn is cut off. */
  static async open(options: JournalOptions, found: Recovered): Promise<Journal> {
    const handle = await open(options.file, 'r+');
    try {
      await handle.truncate(found.endBytes);
      await handle.sync();
      return new Journal(options, handle, found);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** As of the last durable change. */
  get table(): ExtentTable {
    return this.#table;
  }

  /** Resolves when the changes are durable, and only then are they in the table. */
  append(changes: readonly Change[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ changes, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  async close(): Promise<void> {
    await this.#flushing;
    await this.#handle.close();
  }

  /** Never rejects. */
  async #flush(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        await this.#write(batch.flatMap(({ changes }) => changes));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(translate(error, this.#options.device));
      }
      await this.#compactIfLong();
    }
    this.#flushing = undefined;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    if (this.#failure) throw this.#failure;
    const line = encodeBatch(this.#batch + 1, changes);
    try {
      for (let at = 0; at < line.length;)
        at += (await this.#handle.write(line, at, line.length - at, this.#endBytes + at))
          .bytesWritten;
    } catch (error) {
      // What was written of the line must not stand behind a shorter one.
      await this.#guarded(() => this.#handle.truncate(this.#endBytes));
      throw error;
    }
    await this.#guarded(() => this.#handle.datasync());
    this.#batch++;
    this.#endBytes += line.length;
    for (const change of changes) this.#table.apply(change);
  }

  /** After a failure here nobody knows what is on the disk. */
  async #guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#failure = deviceFailed(this.#options.device, error);
      throw this.#failure;
    }
  }

  async #compactIfLong(): Promise<void> {
    const { compactBytes = COMPACT_BYTES, device, log, file } = this.#options;
    const due = Math.max(compactBytes, GROWTH * this.#snapshotBytes);
    if (this.#failure || this.#endBytes <= due) return;
    const lines = snapshotLines({ ...this.#header, batch: this.#batch }, this.#table);
    let sizeBytes: number;
    try {
      sizeBytes = await writeBeside(file, lines);
    } catch (error) {
      // The old one is whole and goes on growing.
      this.#snapshotBytes = this.#endBytes;
      log.warn({ device, error: messageOf(error) }, 'the journal could not be compacted');
      return;
    }
    try {
      await this.#guarded(() => moveInPlace(file));
      await this.#guarded(() => this.#reopen(sizeBytes));
    } catch (error) {
      log.error({ device, err: error }, 'the journal could not be replaced');
    }
  }

  async #reopen(sizeBytes: number): Promise<void> {
    const fresh = await open(this.#options.file, 'r+');
    await this.#handle.close();
    this.#handle = fresh;
    this.#endBytes = sizeBytes;
    this.#snapshotBytes = sizeBytes;
  }
}

/** Line by line, so that messages come between; returns the size. */
async function writeBeside(file: string, lines: Iterable<Buffer>): Promise<number> {
  const handle = await open(`${file}.new`, 'w', 0o600);
  try {
    let sizeBytes = 0;
    for (const line of lines) {
      await handle.writeFile(line);
      sizeBytes += line.length;
    }
    await handle.sync();
    return sizeBytes;
  } finally {
    await handle.close();
  }
}

async function moveInPlace(file: string): Promise<void> {
  await rename(`${file}.new`, file);
  await syncFolder(path.dirname(file));
}
