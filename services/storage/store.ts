import { realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import { checkRef, checkWriteOptions, isReserved } from './checks.js';
import { ClientFolder } from './client-folder.js';
import { stageContent } from './content-staging.js';
import type { StagingPlaces } from './content-staging.js';
import type { ContentSource, Depot, OpenContent } from './depot.js';
import { makeFolders } from './durable.js';
import {
  contentLost,
  fileNotFound,
  fileTooLarge,
  isFreed,
  nameOf,
  translate,
  translated,
  versionMismatch,
} from './failures.js';
import type { FileRef } from './failures.js';
import type { StorageLimits } from './limits.js';
import { Fence } from './fence.js';
import { FileContent } from './file-content.js';
import { FileFinder } from './file-finder.js';
import { listNames } from './listing.js';
import type { NameQuery } from './listing.js';
import { Locks } from './locks.js';
import { mediaTypeOf } from './media-types.js';
import type { FileRecord } from './metadata.js';
import { freeOrphans } from './orphans.js';
import { Owner } from './owner.js';
import { heldBack, verifiedChunks } from './reading.js';
import { rootIdOf } from './root-id.js';
import { Shelf } from './shelf.js';
import type { ShelfParts } from './shelf.js';
import { Slots } from './slots.js';
import { storedFile } from './stored-file.js';
import type {
  CallOptions,
  DeleteOptions,
  FilePage,
  ListOptions,
  OpenedFile,
  SharedFile,
  StoredFile,
  StoreOptions,
  WriteOptions,
} from './stored-file.js';
import { sweep } from './sweep.js';

/**
 * Files of clients under one folder, which any number of processes may serve at the same time. Writes are atomic and durable; what is
 * read is verified. Content may lie elsewhere (`depot.ts`); names and what is known of files are always here.
 */
export class FileStore {
  readonly #root: string;
  readonly #owner: Owner;
  readonly #limits: StorageLimits;
  readonly #depot: Depot | undefined;
  readonly #depositLabel: string | undefined;
  readonly #finder: FileFinder;
  readonly #shelfParts: ShelfParts;
  readonly #transfers: Slots;
  readonly #kept: Slots;
  readonly #durable = new Map<string, Promise<void>>();
  readonly #fence: Fence;
  readonly #epoch: () => bigint | undefined;

  private constructor(root: string, owner: Owner, limits: StorageLimits, options: OpenOptions) {
    const { now = Date.now, depot, depositLabel } = options;
    this.#root = root;
    this.#owner = owner;
    this.#limits = limits;
    this.#depot = depot;
    this.#depositLabel = depositLabel;
    this.#finder = new FileFinder(
      (client) => ({ folder: this.#folder(client), shelf: this.#shelf(client) }),
      depot,
    );
    this.#fence = new Fence(root, options.onFenced);
    this.#epoch = options.epoch ?? (() => undefined);
    this.#shelfParts = {
      ...{ owner, now, locks: new Locks(owner, limits.lock_timeout_ms), fence: this.#fence },
      dropped: (placement) => depot?.release(placement),
    };
    this.#transfers = new Slots({
      ...{ limit: 'max_transfers', allowed: limits.max_transfers },
      ...{ what: 'transfers are under way', reason: 'TOO_MANY_TRANSFERS' },
    });
    this.#kept = new Slots({
      ...{ limit: 'max_kept_files', allowed: limits.max_kept_files },
      ...{ what: 'files are kept open for runs', reason: 'TOO_MANY_KEPT_FILES' },
    });
  }

  /** Opens the folder, makes it if need be, and removes what dead processes left in it. */
  static async open(
    folder: string,
    limits: StorageLimits,
    options: StoreOptions = {},
  ): Promise<FileStore> {
    return translated('write', 'the storage folder', async () => {
      await makeFolders(folder);
      const root = await realpath(folder);
      const owner = await Owner.ofThisProcess();
      const { depot, writesToDepot = depot !== undefined } = options;
      const depositLabel = writesToDepot ? await labelOf(root, owner) : undefined;
      const store = new FileStore(root, owner, limits, { ...options, depositLabel });
      await sweep(root, owner, (ref) => store.#shelf(ref.client).repair(ref));
      return store;
    });
  }

  /** From now on no process changes files here in an epoch before this one. */
  async raiseFence(epoch: bigint): Promise<void> {
    await translated('write', 'the storage folder', () => this.#fence.admit(epoch));
  }

  /** This process stops leading in good order: what it has begun in this epoch is let through until `untilMs` (ms since 1970). */
  async leave(epoch: bigint, untilMs: number): Promise<void> {
    await translated('write', 'the storage folder', () => this.#fence.leave(epoch, untilMs));
  }

  /** Uploads and downloads under way. */
  get transfers(): number {
    return this.#transfers.taken;
  }

  /** Files that are kept open for results of runs. */
  get kept(): number {
    return this.#kept.taken;
  }

  /** Frees content elsewhere that dead processes have left and no file has; returns the number of extents. */
  async freeOrphans(signal: AbortSignal): Promise<number> {
    const depot = this.#depot;
    if (!depot || this.#depositLabel === undefined) return 0;
    const repair = (ref: FileRef): Promise<void> => this.#shelf(ref.client).repair(ref);
    const search = { root: this.#root, owner: this.#owner, depot, repair, signal };
    return freeOrphans({ ...search, prefix: `${this.#depositLabel}~` });
  }

  /** Replaces a file. On any failure, and until it is durable, the old content stays. */
  async write(
    ref: FileRef,
    source: ContentSource,
    options: WriteOptions = {},
  ): Promise<StoredFile> {
    checkRef(ref);
    checkWriteOptions(options);
    const end = this.#transfers.take();
    try {
      return await translated('write', nameOf(ref), () => this.#write(ref, source, options));
    } finally {
      end();
    }
  }

  /** Opens a file for reading. */
  async open(ref: FileRef, options: CallOptions = {}): Promise<OpenedFile> {
    checkRef(ref);
    const { signal } = options;
    const end = this.#transfers.take();
    try {
      return await translated('read', nameOf(ref), () => this.#open(ref, end, signal));
    } catch (error) {
      end();
      throw error;
    }
  }

  /** A file for readers who come for its content themselves, until `untilMs` (ms since 1970). They verify it: its hash is known. */
  async share(ref: FileRef, untilMs: number, options: CallOptions = {}): Promise<SharedFile> {
    checkRef(ref);
    const end = this.#kept.take();
    try {
      return await translated('read', nameOf(ref), () => this.#share(ref, untilMs, end, options));
    } catch (error) {
      end();
      throw error;
    }
  }

  /** A whole file in memory, if it is not larger than `maxBytes`; `limit` is the name of that limit. */
  async readAll(
    ref: FileRef,
    maxBytes: number,
    limit: string,
    options: CallOptions = {},
  ): Promise<{ file: StoredFile; data: Buffer }> {
    await using opened = await this.open(ref, options);
    const { file } = opened;
    if (file.sizeBytes > maxBytes) throw fileTooLarge(limit, nameOf(ref), file.sizeBytes, maxBytes);
    const chunks: Uint8Array[] = [];
    for await (const chunk of opened.chunks()) chunks.push(chunk);
    const [only] = chunks;
    const data =
      only && chunks.length === 1
        ? Buffer.from(only.buffer, only.byteOffset, only.length)
        : Buffer.concat(chunks);
    return { file, data };
  }

  /** What is known of a file; its content is not verified. */
  async stat(ref: FileRef, options: CallOptions = {}): Promise<StoredFile> {
    checkRef(ref);
    return translated('read', nameOf(ref), async () => {
      const { handle, record } = await this.#finder.find(ref, options.signal);
      await handle.close();
      return storedFile(ref, record);
    });
  }

  /** Deletes a file and returns the version that it had. */
  async delete(ref: FileRef, options: DeleteOptions = {}): Promise<bigint> {
    checkRef(ref);
    return translated('write', nameOf(ref), async () => {
      const epoch = this.#epoch();
      const folder = this.#folder(ref.client);
      if (!(await folder.exists())) throw fileNotFound(ref);
      await folder.ensure();
      const { ifVersion, step } = options;
      const shelf = this.#shelf(ref.client);
      return shelf.delete(ref, { ifVersion, step, epoch, forgets: isReserved(ref.client) });
    });
  }

  /** Files by client and name. One whose record is damaged is listed with version 0 and no hash: `stat` tells why. */
  async list(options: ListOptions = {}): Promise<FilePage> {
    const { signal } = options;
    return translated('read', 'the storage folder', async () => {
      const page = await listNames(this.#root, options, this.#limits.max_page_size);
      const files: StoredFile[] = [];
      for (const ref of page.refs) {
        signal?.throwIfAborted();
        const file = await this.#listed(ref, signal);
        if (file) files.push(file);
      }
      return { files, nextPageToken: page.nextPageToken };
    });
  }

  /** Names only, by client and name: no file is looked at. */
  names(query: NameQuery, most: number): Promise<readonly FileRef[]> {
    return translated('read', 'the storage folder', async () => {
      const { refs } = await listNames(this.#root, { ...query, pageSize: most + 1 }, most + 1);
      return refs;
    });
  }

  async #listed(ref: FileRef, signal: AbortSignal | undefined): Promise<StoredFile | undefined> {
    try {
      return await this.stat(ref, { signal });
    } catch (error) {
      if (!(error instanceof FractoryError)) throw error;
      if (error.code === status.NOT_FOUND) return undefined;
      if (error.code !== status.DATA_LOSS) throw error;
      return { ...ref, version: 0n, sizeBytes: 0, sha256: '', mediaType: '', modifiedMs: 0 };
    }
  }

  async #write(ref: FileRef, source: ContentSource, options: WriteOptions): Promise<StoredFile> {
    const { ifVersion, step } = options;
    const epoch = this.#epoch();
    const folder = this.#folder(ref.client);
    await folder.ensure();
    await this.#refuseEarly(ref, options);
    const staged = await stageContent(this.#places, ref, folder, source, options);
    try {
      const mediaType = options.mediaType || mediaTypeOf(ref.name, staged.head);
      const change = { ifVersion, step, epoch, forgets: isReserved(ref.client) };
      const record = await this.#shelf(ref.client).put(ref, staged, mediaType, change);
      return storedFile(ref, record);
    } finally {
      await folder.discard(staged.name);
    }
  }

  async #open(ref: FileRef, end: () => void, signal: AbortSignal | undefined): Promise<OpenedFile> {
    const found = await this.#finder.findOr(ref, signal, (content, depot) =>
      depot.open(content, signal),
    );
    const { record, handle, placed } = found;
    return {
      file: storedFile(ref, record),
      chunks: () =>
        placed
          ? this.#placedChunks(ref, record, placed)
          : this.#chunks(ref, handle, record, signal),
      [Symbol.asyncDispose]: async () => {
        end();
        await (placed ? placed[Symbol.asyncDispose]() : handle.close());
      },
    };
  }

  async #share(
    ref: FileRef,
    untilMs: number,
    end: () => void,
    { signal }: CallOptions,
  ): Promise<SharedFile> {
    const found = await this.#finder.findOr(ref, signal, (content, depot) =>
      depot.memory(content, untilMs, signal),
    );
    const { record, handle, placed } = found;
    const file = storedFile(ref, record);
    if (!placed)
      return { kind: 'content', file, content: new FileContent(ref, handle, record, end) };
    end();
    return { kind: 'memory', file, memory: placed };
  }

  async *#chunks(
    ref: FileRef,
    handle: FileHandle,
    record: FileRecord,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Uint8Array, void> {
    const { chunk_bytes: chunkBytes, verify_first_bytes: verifyFirstBytes } = this.#limits;
    try {
      yield* verifiedChunks(ref, handle, record, { chunkBytes, verifyFirstBytes, signal });
    } catch (error) {
      throw translate(error, 'read', nameOf(ref));
    }
  }

  async *#placedChunks(
    ref: FileRef,
    { placement, sizeBytes }: FileRecord,
    content: OpenContent,
  ): AsyncGenerator<Uint8Array, void> {
    try {
      yield* heldBack(content.chunks(), sizeBytes <= this.#limits.verify_first_bytes);
    } catch (error) {
      throw placement && isFreed(error) ? contentLost(ref, placement.device) : error;
    }
  }

  /** Spares an upload that is bound to fail; the check that counts is made under the lock. */
  async #refuseEarly(ref: FileRef, options: WriteOptions): Promise<void> {
    const { ifVersion, step } = options;
    if (ifVersion === undefined || step) return;
    const { handle, record, metadata } = await this.#shelf(ref.client).look(ref);
    await handle?.close();
    const version = handle ? (record?.version ?? metadata.lastVersion + 1n) : 0n;
    if (version !== ifVersion) throw versionMismatch(ref, ifVersion, version);
  }

  get #places(): StagingPlaces {
    const [depot, label] = [this.#depot, this.#depositLabel];
    return {
      ...{ owner: this.#owner, maxFileBytes: this.#limits.max_file_bytes },
      elsewhere: depot && label !== undefined ? { depot, label } : undefined,
    };
  }

  #shelf(client: string): Shelf {
    return new Shelf(this.#folder(client), this.#shelfParts);
  }

  #folder(client: string): ClientFolder {
    return new ClientFolder(this.#root, client, this.#durable);
  }
}

type OpenOptions = StoreOptions & { readonly depositLabel: string | undefined };

/** First part of the labels of all extents of this folder. */
async function labelOf(root: string, owner: Owner): Promise<string> {
  return `storage-${await rootIdOf(root, owner)}`;
}
