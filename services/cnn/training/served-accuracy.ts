import { status } from '@grpc/grpc-js';

import { backoffMs } from '../../../runtime/backoff.js';
import { sleep } from '../../../runtime/deadline.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { ValidationFile } from './data/data-set.js';
import { filesOf } from './data/file-keys.js';
import type { PictureSource } from './data/source.js';
import { TaskQueue } from './data/task-queue.js';

/** The node's models as callers see them. */
export interface ServedModels {
  /** All versions of a model that are known, usable or not. */
  versions(model: string): readonly number[];
  /** Looks at the folders: what was written is served from now on. */
  rescan(): Promise<void>;
  /** The most probable label of an encoded picture. */
  predict(
    picture: Uint8Array,
    options: { readonly model: string; readonly version: number; readonly signal: AbortSignal },
  ): Promise<string>;
}

export interface MeasureOptions {
  readonly model: string;
  readonly version: number;
  readonly labels: readonly string[];
  readonly signal: AbortSignal;
}

/** Pictures that are asked about at a time. */
const ASKERS = 4;

/** Asks a served model about files of a source and counts its answers: a row for each true class, a column for each answer. */
export async function measureServed(
  served: ServedModels,
  source: PictureSource,
  files: readonly ValidationFile[],
  { model, version, labels, signal }: MeasureOptions,
): Promise<number[][]> {
  const confusion = labels.map(() => labels.map(() => 0));
  const columns = new Map(labels.map((label, column) => [label, column]));
  await using queue = new TaskQueue(ASKERS);
  for await (const { bytes, label } of filesOf(source, files, signal))
    await queue.add(async () => {
      const answer = await patiently(
        () => served.predict(bytes, { model, version, signal }),
        signal,
      );
      const row = confusion[label];
      const column = columns.get(answer);
      if (row && column !== undefined) row[column] = (row[column] ?? 0) + 1;
    });
  await queue.drained();
  return confusion;
}

/** A node that has much to do is asked again. */
async function patiently<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const isFull = error instanceof FractoryError && error.code === status.RESOURCE_EXHAUSTED;
      if (!isFull || error.retryAfterMs === undefined) throw error;
      await sleep(Math.max(error.retryAfterMs, backoffMs(attempt)), signal);
    }
  }
}
