import { status } from '@grpc/grpc-js';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, open, rename, utimes } from 'node:fs/promises';
import path from 'node:path';

import {
  FractoryError,
  invalidArgument,
  limitExceeded,
  systemCodeOf,
} from '../../../runtime/errors.js';
import { syncFolder } from '../../../runtime/folder-sync.js';
import { makeRoom } from './data-room.js';
import { discard, diskFailure, writeAll } from './durable-file.js';
import type { TrainingLimits } from './limits.js';

export interface UploadedDataSet {
  /** SHA-256 of the tar, hex. */
  readonly dataSet: string;
  readonly sizeBytes: number;
}

const MAX_CHUNK_BYTES = 1024 ** 2;

export interface DataSetsOptions {
  readonly folder: string;
  readonly limits: Pick<TrainingLimits, 'max_data_set_bytes' | 'max_data_sets_bytes'>;
  /** Those that a training needs still. */
  readonly inUse: () => Promise<ReadonlySet<string>>;
}

/**
 * Data sets that were uploaded, each a tar named by the hash of its content: the same pictures are kept once. Those that were used longest ago
 * leave when all together would be too large.
 */
export class DataSets {
  readonly #options: DataSetsOptions;
  readonly #folder: string;

  constructor(options: DataSetsOptions) {
    this.#options = options;
    this.#folder = options.folder;
  }

  /** Keeps a tar; of one that breaks off nothing is left. Errors: LIMIT_EXCEEDED, CHUNK_TOO_LARGE, EMPTY_DATA_SET, DISK_FULL, FOLDER_UNWRITABLE. */
  async add(chunks: AsyncIterable<Uint8Array>): Promise<UploadedDataSet> {
    const temporary = path.join(this.#folder, `.${randomUUID()}.tmp`);
    try {
      await mkdir(this.#folder, { recursive: true });
      const added = await this.#write(temporary, chunks);
      const file = this.#fileOf(added.dataSet);
      await makeRoom(this.#folder, {
        ...{ bytes: added.sizeBytes, for: path.basename(file) },
        most: this.#options.limits.max_data_sets_bytes,
        keep: new Set([...(await this.#options.inUse())].map((used) => `${used}.tar`)),
      });
      await rename(temporary, file);
      await syncFolder(this.#folder);
      return added;
    } catch (error) {
      await discard(temporary);
      throw diskFailure(error, this.#folder);
    }
  }

  /** The path of a data set, which counts as used from now on. */
  async find(dataSet: string): Promise<string> {
    const file = this.#fileOf(dataSet);
    try {
      const now = new Date();
      await utimes(file, now, now);
      return file;
    } catch (error) {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
      throw new FractoryError(
        status.NOT_FOUND,
        'DATA_SET_NOT_FOUND',
        `there is no data set ${dataSet} on this node: upload it first`,
      );
    }
  }

  async #write(file: string, chunks: AsyncIterable<Uint8Array>): Promise<UploadedDataSet> {
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const handle = await open(file, 'wx', 0o644);
    try {
      for await (const chunk of chunks) {
        sizeBytes += checkChunk(chunk).length;
        this.#checkSize(sizeBytes);
        hash.update(chunk);
        await writeAll(handle, chunk);
      }
      if (sizeBytes === 0)
        throw invalidArgument('chunk', 'the data set is empty', 'EMPTY_DATA_SET');
      await handle.sync();
    } finally {
      await handle.close();
    }
    return { dataSet: hash.digest('hex'), sizeBytes };
  }

  #checkSize(sizeBytes: number): void {
    const { max_data_set_bytes: one, max_data_sets_bytes: all } = this.#options.limits;
    const most = Math.min(one, all);
    if (sizeBytes <= most) return;
    const limit = one <= all ? 'max_data_set_bytes' : 'max_data_sets_bytes';
    throw limitExceeded(limit, `more than ${String(most)}`, most, {
      what: 'size of the data set in bytes',
    });
  }

  #fileOf(dataSet: string): string {
    return path.join(this.#folder, `${dataSet}.tar`);
  }
}

function checkChunk(chunk: Uint8Array): Uint8Array {
  if (chunk.length <= MAX_CHUNK_BYTES) return chunk;
  throw new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'CHUNK_TOO_LARGE',
    `a chunk has ${String(chunk.length)} bytes, the limit is ${String(MAX_CHUNK_BYTES)}`,
  );
}
