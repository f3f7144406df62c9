import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { FractoryError, systemCodeOf } from '../../runtime/errors.js';
import { folderContent, tarOf } from './folder-tar.js';
import type { LeftFile } from './folder-tar.js';

/** Pictures of this machine on their way to a node. */
export interface LocalData {
  /** About: a tar that is made on the way is a little longer. */
  readonly totalBytes: number;
  /** Told as soon as it is known. */
  chunks(onLeft: (file: LeftFile) => void): AsyncIterable<Uint8Array>;
}

const CHUNK_BYTES = 256 * 1024;

/** A folder of pictures, made a tar on the way, or a tar that is there (packed with gzip or not). */
export async function localData(place: string, maxFileBytes: number): Promise<LocalData> {
  const full = path.resolve(place);
  if (!(await statOf(full, place)).isDirectory()) {
    const { size } = await stat(full);
    return {
      totalBytes: size,
      chunks: () => createReadStream(full, { highWaterMark: CHUNK_BYTES }),
    };
  }
  const { files, left, totalBytes } = await folderContent(full, maxFileBytes);
  return {
    totalBytes,
    async *chunks(onLeft) {
      left.forEach(onLeft);
      for await (const chunk of tarOf(full, files, onLeft)) yield* pieces(chunk);
    },
  };
}

function* pieces(chunk: Uint8Array): Generator<Uint8Array, void> {
  for (let from = 0; from < chunk.length; from += CHUNK_BYTES)
    yield chunk.subarray(from, from + CHUNK_BYTES);
}

async function statOf(full: string, place: string): ReturnType<typeof stat> {
  try {
    return await stat(full);
  } catch (error) {
    const isMissing = ['ENOENT', 'ENOTDIR'].includes(systemCodeOf(error) ?? '');
    throw new FractoryError(
      isMissing ? status.NOT_FOUND : status.INVALID_ARGUMENT,
      'NO_DATA',
      isMissing
        ? `there is no folder or tar ${place}`
        : `${place} can't be read (${systemCodeOf(error) ?? 'no access'})`,
    );
  }
}
