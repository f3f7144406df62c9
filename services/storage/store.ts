import { mkdir, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import { FractoryError, invalidArgument } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import { status } from '@grpc/grpc-js';
import { ClientFolder } from './client-folder.js';
import {
  dataLoss,
  fileNotFound,
  fileTooLarge,
  isReadOnly,
  nameOf,
  translate,
  translated,
  versionMismatch,
} from './failures.js';
import type { FileRef } from './failures.js';
import type { StorageLimits } from './limits.js';
import { listNames } from './listing.js';
import { Locks } from './locks.js';
import { mediaTypeOf } from './media-types.js';
import type { FileRecord } from './metadata.js';
import { Owner } from './owner.js';
import { verifiedChunks } from './reading.js';
import { Shelf } from './shelf.js';
import type { Look, StepKey } from './shelf.js';
import { stage } from './staging.js';
import { sweep } from './sweep.js';

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

export interface FilePage {
  readonly files: readonly StoredFile[];
  /** Empty = this was the last page. */
  readonly nextPageToken: string;
}

const SHA256 = /^[0-9a-f]{64}$/i;
const MAX_MEDIA_TYPE_CHARACTERS = 255;
const MAX_ADOPTIONS = 10;

/**
 * Files of clients under one folder, which any number of processes may serve at the same time. Writes are atomic and durable; what is
 * read is verified.
 */
export class FileStore {
  readonly #root: string;
  readonly #owner: Owner;
  readonly #locks: Locks;
  readonly #limits: StorageLimits;
  readonly #now: () => number;
  #transfers = 0;

  private constructor(root: string, owner: Owner, limits: StorageLimits, now: () => number) {
    this.#root = root;
    this.#owner = owner;
    this.#limits = limits;
    this.#locks = new Locks(owner, limits.lock_timeout_ms);
    this.#now = now;
  }

  /** Opens the folder, makes it if need be, and removes what dead processes left in it. */
  static async open(
    folder: string,
    limits: StorageLimits,
    now: () => number = Date.now,
  ): Promise<FileStore> {
    return translated('write', 'the storage folder', async () => {
      await mkdir(folder, { recursive: true });
      const root = await realpath(folder);
      const store = new FileStore(root, await Owner.ofThisProcess(), limits, now);
      await sweep(root, store.#owner, (ref) => store.#shelf(ref.client).repair(ref));
      return store;
    });
  }

  /** Uploads and downloads under way. */
  get transfers(): number {
    return this.#transfers;
  }

  /** Replaces a file. On any failure, and until it is durable, the old content stays. */
  async write(
    ref: FileRef,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: WriteOptions = {},
  ): Promise<StoredFile> {
    checkRef(ref);
    checkWriteOptions(options);
    const transfer = this.#transfer();
    try {
      return await translated('write', nameOf(ref), () => this.#write(ref, source, options));
    } finally {
      transfer[Symbol.dispose]();
    }
  }

  /** Opens a file for reading. */
  async open(ref: FileRef, options: CallOptions = {}): Promise<OpenedFile> {
    checkRef(ref);
    const transfer = this.#transfer();
    try {
      const { handle, record } = await translated('read', nameOf(ref), () =>
        this.#find(ref, options.signal),
      );
      return {
        file: storedFile(ref, record),
        chunks: () => this.#chunks(ref, handle, record, options.signal),
        [Symbol.asyncDispose]: async () => {
          transfer[Symbol.dispose]();
          await handle.close();
        },
      };
    } catch (error) {
      transfer[Symbol.dispose]();
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
      const { handle, record } = await this.#find(ref, options.signal);
      await handle.close();
      return storedFile(ref, record);
    });
  }

  /** Deletes a file and returns the version that it had. */
  async delete(ref: FileRef, options: DeleteOptions = {}): Promise<bigint> {
    checkRef(ref);
    return translated('write', nameOf(ref), async () => {
      const folder = new ClientFolder(this.#root, ref.client);
      if (!(await folder.exists())) throw fileNotFound(ref);
      await folder.ensure();
      const { ifVersion, step } = options;
      return this.#shelf(ref.client).delete(ref, { ifVersion, step });
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

  async #write(
    ref: FileRef,
    source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: WriteOptions,
  ): Promise<StoredFile> {
    const { signal, ifVersion, step } = options;
    const folder = new ClientFolder(this.#root, ref.client);
    await folder.ensure();
    await this.#refuseEarly(ref, options);
    const staged = await stage(folder.temporary, this.#owner.newName('put', ref.name), source, {
      what: nameOf(ref),
      maxBytes: this.#limits.max_file_bytes,
      signal,
    });
    try {
      checkHash(ref, staged.sha256, options.sha256);
      signal?.throwIfAborted();
      const mediaType = options.mediaType || mediaTypeOf(ref.name, staged.head);
      const record = await this.#shelf(ref.client).put(ref, staged, mediaType, { ifVersion, step });
      return storedFile(ref, record);
    } finally {
      await folder.discard(staged.name);
    }
  }

  /** The open content with its record. The caller owns the handle. */
  async #find(
    ref: FileRef,
    signal: AbortSignal | undefined,
  ): Promise<{ handle: FileHandle; record: FileRecord }> {
    const folder = new ClientFolder(this.#root, ref.client);
    if (!(await folder.exists())) throw fileNotFound(ref);
    const shelf = this.#shelf(ref.client);
    for (let attempt = 0; attempt < MAX_ADOPTIONS; attempt++) {
      const look = await shelf.look(ref);
      const { handle } = look;
      if (!handle) return await this.#missing(ref, shelf, look);
      try {
        const record = look.record ?? (await shelf.adopt(ref, look, signal));
        if (record) {
          checkSize(ref, look, record);
          return { handle, record };
        }
      } catch (error) {
        await handle.close();
        throw error;
      }
      await handle.close();
    }
    throw new FractoryError(
      status.UNAVAILABLE,
      'FILE_BUSY',
      `${nameOf(ref)} is being changed by other means`,
      { retryAfterMs: 500 },
    );
  }

  async #missing(ref: FileRef, shelf: Shelf, look: Look): Promise<never> {
    if (look.metadata.file && !look.metadata.pending) {
      try {
        await shelf.forget(ref);
      } catch (error) {
        // Where nothing can be written nothing can be confused either.
        const failure = translate(error, 'write', nameOf(ref));
        if (!isReadOnly(failure)) throw failure;
      }
    }
    throw fileNotFound(ref);
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

  /** Spares an upload that is bound to fail; the check that counts is made under the lock. */
  async #refuseEarly(ref: FileRef, options: WriteOptions): Promise<void> {
    const { ifVersion, step } = options;
    if (ifVersion === undefined || step) return;
    const { handle, record, metadata } = await this.#shelf(ref.client).look(ref);
    await handle?.close();
    const version = handle ? (record?.version ?? metadata.lastVersion + 1n) : 0n;
    if (version !== ifVersion) throw versionMismatch(ref, ifVersion, version);
  }

  #shelf(client: string): Shelf {
    return new Shelf(new ClientFolder(this.#root, client), this.#owner, this.#locks, this.#now);
  }

  #transfer(): Disposable {
    const { max_transfers: allowed } = this.#limits;
    if (this.#transfers >= allowed)
      throw new FractoryError(
        status.RESOURCE_EXHAUSTED,
        'TOO_MANY_TRANSFERS',
        `${String(this.#transfers)} transfers are under way, the limit max_transfers is ${String(allowed)}`,
        { retryAfterMs: 200, metadata: { limit: 'max_transfers', allowed: String(allowed) } },
      );
    this.#transfers++;
    let ended = false;
    return {
      [Symbol.dispose]: () => {
        if (!ended) this.#transfers--;
        ended = true;
      },
    };
  }
}

function checkRef(ref: FileRef): void {
  checkName('client', ref.client);
  checkName('name', ref.name);
}

function checkWriteOptions(options: WriteOptions): void {
  const { sha256, mediaType } = options;
  if (sha256 && !SHA256.test(sha256))
    throw invalidArgument('sha256', 'is not 64 hexadecimal digits', 'BAD_HASH');
  if (!mediaType) return;
  const tooLong = mediaType.length > MAX_MEDIA_TYPE_CHARACTERS;
  if (tooLong || !/^[\w.+-]+\/[\w.+-]+(\s*;[ -~]*)?$/.test(mediaType))
    throw invalidArgument(
      'media_type',
      `${JSON.stringify(mediaType.slice(0, 80))} is not a media type such as image/png`,
      'BAD_MEDIA_TYPE',
    );
}

function checkHash(ref: FileRef, actual: string, expected: string | undefined): void {
  if (!expected || expected.toLowerCase() === actual) return;
  throw invalidArgument(
    'sha256',
    `the upload of ${nameOf(ref)} has SHA-256 ${actual}, ${expected.toLowerCase()} was announced`,
    'HASH_MISMATCH',
  );
}

function checkSize(ref: FileRef, look: Look, record: FileRecord): void {
  const actual = Number(look.stats?.size);
  if (actual !== record.sizeBytes)
    throw dataLoss(
      ref,
      `is damaged: it has ${String(actual)} bytes, ${String(record.sizeBytes)} were stored`,
    );
}

function storedFile(ref: FileRef, record: FileRecord): StoredFile {
  const { version, sizeBytes, sha256, mediaType, modifiedMs } = record;
  const { client, name } = ref;
  return { client, name, version, sizeBytes, sha256, mediaType, modifiedMs };
}
