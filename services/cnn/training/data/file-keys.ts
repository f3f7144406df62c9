import { createHash } from 'node:crypto';

import { FractoryError } from '../../../../runtime/errors.js';
import type { ValidationFile } from './data-set.js';
import type { PictureSource, SourceFile } from './source.js';

/**
 * Names the files of one walk through a source so that the next walk finds them again, though files came or went in between. A tar may hold a
 * path several times.
 */
export class FileKeys {
  readonly #seen = new Map<string, number>();

  of({ path }: Pick<SourceFile, 'path'>): string {
    const count = (this.#seen.get(path) ?? 0) + 1;
    this.#seen.set(path, count);
    return count === 1 ? path : `${path}\n${String(count)}`;
  }
}

/** Errors of one file, not of its source. */
export const UNREADABLE: ReadonlySet<string> = new Set([
  ...['FILE_NOT_FOUND', 'NOT_A_FILE', 'DATA_LOSS', 'STORAGE_UNREADABLE', 'IMAGE_TOO_LARGE'],
]);

/** Hex. */
export function sha256Of(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** These files of a source, one after the other; those that are gone or have changed since are left out. */
export async function* filesOf(
  source: PictureSource,
  files: readonly ValidationFile[],
  signal: AbortSignal,
): AsyncGenerator<{ readonly bytes: Uint8Array; readonly label: number }, void> {
  const wanted = new Map(files.map((file) => [file.key, file]));
  const keys = new FileKeys();
  for await (const file of source.files(signal)) {
    const one = wanted.get(keys.of(file));
    if (!one || (file.sha256 !== undefined && file.sha256 !== one.sha256)) continue;
    const bytes = await readable(file);
    if (bytes && sha256Of(bytes) === one.sha256) yield { bytes, label: one.label };
  }
}

async function readable(file: SourceFile): Promise<Uint8Array | undefined> {
  try {
    return await file.read();
  } catch (error) {
    if (error instanceof FractoryError && UNREADABLE.has(error.reason)) return undefined;
    throw error;
  }
}
