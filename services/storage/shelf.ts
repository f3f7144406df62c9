import type { BigIntStats } from 'node:fs';
import { access, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf, unavailable } from '../../runtime/errors.js';
import { syncFolder } from '../../runtime/folder-sync.js';
import { checkPlain } from './client-folder.js';
import type { ClientFolder } from './client-folder.js';
import type { Placement } from './depot.js';
import { openFile, replaceFile } from './durable.js';
import type { Fence } from './fence.js';
import {
  fileNotFound,
  isReadOnly,
  nameOf,
  notAFile,
  translate,
  versionMismatch,
} from './failures.js';
import type { FileRef } from './failures.js';
import type { Locks } from './locks.js';
import { SNIFFED_BYTES, mediaTypeOf } from './media-types.js';
import { encode, metadataOf, readMetadataText, withDone } from './metadata.js';
import type { Done, FileRecord, Metadata } from './metadata.js';
import type { Owner } from './owner.js';
import { hashOf } from './reading.js';
import { holds, isCopied, isMade, isSame, recordIn, recordOf } from './record-match.js';
import type { Staged } from './staging.js';

const MAX_LOOKS = 100;

/** A step of a run, under which an effect is done once. */
export interface StepKey {
  readonly run: string;
  readonly step: string;
}

export interface ChangeOptions {
  /** Only if the file has this version now; 0 = only if it doesn't exist. */
  readonly ifVersion: bigint | undefined;
  readonly step: StepKey | undefined;
  /** In which this process leads; refused if there was a later one. Undefined: nobody leads here. */
  readonly epoch?: bigint | undefined;
  /** Nothing is kept of the name of a deleted file. Versions begin at the time in ms then, so that none comes again. Default false. */
  readonly forgets?: boolean;
}

/** What stands at a file's place. Whoever gets it closes the handle. */
export interface Look {
  readonly handle: FileHandle | undefined;
  readonly stats: BigIntStats | undefined;
  readonly metadata: Metadata;
  /** What is known of the content; absent = no content, or one that was put there by other means. */
  readonly record: FileRecord | undefined;
}

interface Settled {
  readonly metadata: Metadata;
  readonly stats: BigIntStats | undefined;
  readonly record: FileRecord | undefined;
  /** Version of what stands there; 0 = nothing. A found file counts as the next version. */
  readonly version: bigint;
}

export interface ShelfParts {
  readonly owner: Owner;
  readonly locks: Locks;
  readonly fence: Fence;
  readonly now: () => number;
  /** Hears of content that lies elsewhere and that no file has any more. May hear twice of the same. */
  readonly dropped: (placement: Placement) => void;
}

/**
 * Content and metadata of one client's files, kept in step (README.md, "Crash points"). Changes are made under the lock of the
 * name; looking takes no lock.
 */
export class Shelf {
  readonly #folder: ClientFolder;
  readonly #owner: Owner;
  readonly #locks: Locks;
  readonly #fence: Fence;
  readonly #now: () => number;
  readonly #dropped: (placement: Placement) => void;

  constructor(folder: ClientFolder, parts: ShelfParts) {
    this.#folder = folder;
    this.#owner = parts.owner;
    this.#locks = parts.locks;
    this.#fence = parts.fence;
    this.#now = parts.now;
    this.#dropped = parts.dropped;
  }

  /** Content and metadata that belong together: the metadata is read before and after the content is opened. */
  async look(ref: FileRef): Promise<Look> {
    const file = this.#folder.metadata(ref.name);
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const text = await readMetadataText(file);
      const handle = await this.#openContent(ref);
      try {
        if ((await readMetadataText(file)) === text) {
          const metadata = metadataOf(ref, text);
          const stats = await handle?.stat({ bigint: true });
          if (stats) checkPlain(ref, stats);
          const record = await recordIn(metadata, stats, handle);
          // What is told of a change that is under way must not be undone by a power cut.
          if (isMade(metadata, stats, record)) await syncFolder(this.#folder.path);
          return { handle, stats, metadata, record };
        }
      } catch (error) {
        await handle?.close();
        throw error;
      }
      await handle?.close();
    }
    throw unavailable('FILE_BUSY', `${nameOf(ref)} is written all the time`);
  }

  /** Puts a staged content in place as a new version. A repeat of a step with the same content changes nothing. */
  async put(
    ref: FileRef,
    staged: Staged,
    mediaType: string,
    options: ChangeOptions,
  ): Promise<FileRecord> {
    const { placement } = staged;
    try {
      const record = await this.#put(ref, staged, mediaType, options);
      if (record.placement !== placement) this.#drop(placement);
      return record;
    } catch (error) {
      if (placement && !(await this.#mayUse(ref, placement))) this.#drop(placement);
      throw error;
    }
  }

  #put(
    ref: FileRef,
    staged: Staged,
    mediaType: string,
    options: ChangeOptions,
  ): Promise<FileRecord> {
    return this.#locks.hold(this.#folder.lock(ref.name), async () => {
      await this.#admit(options.epoch);
      const settled = await this.#settle(ref);
      const { metadata } = settled;
      const repeated = doneBy(metadata, options.step).find(
        (one) => one.file?.sha256 === staged.sha256,
      );
      if (repeated?.file) return repeated.file;
      checkVersion(ref, options.ifVersion, settled.version);
      const file: FileRecord = {
        version: max(metadata.lastVersion, settled.version, this.#least(options)) + 1n,
        sizeBytes: staged.sizeBytes,
        sha256: staged.sha256,
        mediaType,
        modifiedMs: this.#now(),
        inode: staged.inode,
        ...(staged.placement && { placement: staged.placement }),
      };
      const from = path.join(this.#folder.temporary, staged.name);
      await this.#change(ref, metadata, { file, staged: staged.name, step: options.step }, () =>
        rename(from, this.#folder.content(ref.name)),
      );
      return file;
    });
  }

  /** Deletes a file and returns the version that it had. A repeat of a step changes nothing. */
  delete(ref: FileRef, options: ChangeOptions): Promise<bigint> {
    return this.#locks.hold(this.#folder.lock(ref.name), async () => {
      await this.#admit(options.epoch);
      const { metadata, version } = await this.#settle(ref);
      const repeated = doneBy(metadata, options.step).find((one) => !one.file);
      if (repeated) return metadata.lastVersion;
      if (version === 0n) throw fileNotFound(ref);
      checkVersion(ref, options.ifVersion, version);
      const lastVersion = max(metadata.lastVersion, version);
      await this.#change(ref, { ...metadata, lastVersion }, { step: options.step }, () =>
        rm(this.#folder.content(ref.name)),
      );
      if (options.forgets) await rm(this.#folder.metadata(ref.name), { force: true });
      return version;
    });
  }

  /**
   * Makes a found file known, with its hash as it is now; undefined if it changed meanwhile: look again. In a folder that
   * can't be written nothing is kept, and the file is served all the same.
   */
  async adopt(ref: FileRef, look: Look, signal?: AbortSignal): Promise<FileRecord | undefined> {
    const { handle, stats } = look;
    if (!handle || !stats) throw fileNotFound(ref);
    const sizeBytes = Number(stats.size);
    const { sha256, head } = await hashOf(handle, sizeBytes, SNIFFED_BYTES, signal);
    const record: FileRecord = {
      version: look.metadata.lastVersion + 1n,
      sizeBytes,
      sha256,
      mediaType: mediaTypeOf(ref.name, head),
      modifiedMs: Number(stats.mtimeMs),
      inode: String(stats.ino),
      foundMtimeNs: String(stats.mtimeNs),
    };
    try {
      return await this.#keep(ref, record);
    } catch (error) {
      const failure = translate(error, 'write', nameOf(ref));
      if (isReadOnly(failure)) return record;
      throw failure;
    }
  }

  /** Notes that a file is gone that was removed by other means, so that its record can't be taken for another file's. */
  async forget(ref: FileRef): Promise<void> {
    await this.#locks.hold(this.#folder.lock(ref.name), async () => {
      const { metadata, stats } = await this.#settle(ref);
      if (stats || !metadata.file) return;
      await this.#save(ref, { ...metadata, file: undefined });
      this.#drop(metadata.file.placement);
    });
  }

  /** Completes or undoes a change that a dead process left half done. */
  async repair(ref: FileRef): Promise<void> {
    await this.#locks.hold(this.#folder.lock(ref.name), () => this.#settle(ref));
  }

  #least({ forgets = false }: ChangeOptions): bigint {
    return forgets ? BigInt(Math.floor(this.#now())) : 0n;
  }

  /** Lock held: a leader that was frozen before it took the lock is stopped here. */
  async #admit(epoch: bigint | undefined): Promise<void> {
    if (epoch !== undefined) await this.#fence.admit(epoch);
  }

  async #keep(ref: FileRef, record: FileRecord): Promise<FileRecord | undefined> {
    await this.#folder.ensure();
    return this.#locks.hold(this.#folder.lock(ref.name), async () => {
      const { metadata, stats, record: known } = await this.#settle(ref);
      if (known) return known.sha256 === record.sha256 ? known : undefined;
      if (!stats || !isSame(record, stats)) return undefined;
      const file = { ...record, version: metadata.lastVersion + 1n };
      await this.#saveDurably(ref, { ...metadata, lastVersion: file.version, file });
      return file;
    });
  }

  /** Lock held. What is to happen is durable before it happens, so that whoever comes next can tell whether it did. */
  async #change(
    ref: FileRef,
    metadata: Metadata,
    to: { file?: FileRecord; staged?: string; step: StepKey | undefined },
    make: () => Promise<void>,
  ): Promise<void> {
    const { file, staged, step } = to;
    const done: Done | undefined = step && {
      run: step.run,
      step: step.step,
      ...(file && { file: withoutPlacement(file) }),
    };
    const lastVersion = file?.version ?? metadata.lastVersion;
    const pending = { file, done, ...(staged === undefined ? {} : { staged }) };
    await this.#saveDurably(ref, { ...metadata, lastVersion, pending });
    await make();
    await syncFolder(this.#folder.path);
    try {
      // Not synced: until the next sync a power cut may bring the pending record back, which says the same.
      await this.#save(ref, { lastVersion, file, done: withDone(metadata.done, done) });
    } catch (error) {
      // The change is made and durable, and its pending record says so; the next writer tidies up.
      if (systemCodeOf(error) === undefined) throw error;
    }
    this.#drop(metadata.file?.placement);
  }

  /** Lock held. Brings a half-done change to one of its two ends and says how things stand. */
  async #settle(ref: FileRef): Promise<Settled> {
    let metadata = metadataOf(ref, await readMetadataText(this.#folder.metadata(ref.name)));
    const stats = await this.#folder.statContent(ref);
    const { file, pending } = metadata;
    if (pending) {
      const made = await this.#wasMade(ref, metadata, stats);
      // Whoever made it may not have come to sync it, and from here on nothing of the old content is kept.
      if (made) await syncFolder(this.#folder.path);
      metadata = made
        ? { ...metadata, file: pending.file, done: withDone(metadata.done, pending.done) }
        : { ...metadata, lastVersion: await this.#versionWithout(metadata) };
      metadata = { ...metadata, pending: undefined };
      await this.#save(ref, metadata);
      this.#drop(made ? file?.placement : pending.file?.placement);
    }
    const record = recordOf(metadata, stats);
    const found = stats ? metadata.lastVersion + 1n : 0n;
    return { metadata, stats, record, version: record?.version ?? found };
  }

  /** A write that was never made takes no version: what it was to put in place is still where it was staged. */
  async #versionWithout({ lastVersion, pending }: Metadata): Promise<bigint> {
    if (!pending?.file || pending.staged === undefined) return lastVersion;
    try {
      await access(path.join(this.#folder.temporary, pending.staged));
      return pending.file.version - 1n;
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return lastVersion;
      throw error;
    }
  }

  async #wasMade(
    ref: FileRef,
    metadata: Metadata,
    stats: BigIntStats | undefined,
  ): Promise<boolean> {
    const { pending } = metadata;
    if (!pending?.file) return !stats;
    if (!stats) return false;
    if (!isCopied(metadata, stats)) return pending.file.inode === String(stats.ino);
    const handle = await this.#openContent(ref);
    if (!handle) return false;
    try {
      return await holds(handle, stats, pending.file);
    } finally {
      await handle.close();
    }
  }

  async #openContent(ref: FileRef): Promise<FileHandle | undefined> {
    try {
      return await openFile(this.#folder.content(ref.name));
    } catch (error) {
      const code = systemCodeOf(error);
      if (code === 'ELOOP') throw notAFile(ref, 'a symbolic link');
      if (code === 'ENXIO') throw notAFile(ref, 'a device or pipe');
      throw error;
    }
  }

  /** Whether a content that was to be put in place stands there, or may be put there yet. */
  async #mayUse(ref: FileRef, placement: Placement): Promise<boolean> {
    try {
      const { file, pending } = metadataOf(
        ref,
        await readMetadataText(this.#folder.metadata(ref.name)),
      );
      return [file, pending?.file].some((one) => isSamePlacement(one?.placement, placement));
    } catch {
      // What can't be told is left to the sweep of the next start. The error that counts is the one that led here.
      return true;
    }
  }

  #drop(placement: Placement | undefined): void {
    if (placement) this.#dropped(placement);
  }

  async #saveDurably(ref: FileRef, metadata: Metadata): Promise<void> {
    await this.#save(ref, metadata);
    await syncFolder(path.dirname(this.#folder.metadata(ref.name)));
  }

  /** Whole or not at all; after a power cut it may be the one before. */
  async #save(ref: FileRef, metadata: Metadata): Promise<void> {
    const temporary = path.join(this.#folder.temporary, this.#owner.newName('meta', ref.name));
    try {
      await replaceFile(this.#folder.metadata(ref.name), temporary, encode(metadata));
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

/** What a step has written is remembered longer than its content is kept. */
function withoutPlacement(file: FileRecord): FileRecord {
  const { version, sizeBytes, sha256, mediaType, modifiedMs, inode } = file;
  return { version, sizeBytes, sha256, mediaType, modifiedMs, inode };
}

function isSamePlacement(one: Placement | undefined, other: Placement): boolean {
  return one?.extents.join() === other.extents.join();
}

function doneBy(metadata: Metadata, step: StepKey | undefined): readonly Done[] {
  if (!step) return [];
  return metadata.done.filter((one) => one.run === step.run && one.step === step.step);
}

function checkVersion(ref: FileRef, expected: bigint | undefined, actual: bigint): void {
  if (expected !== undefined && expected !== actual) throw versionMismatch(ref, expected, actual);
}

function max(first: bigint, ...others: readonly bigint[]): bigint {
  return others.reduce((most, one) => (one > most ? one : most), first);
}
