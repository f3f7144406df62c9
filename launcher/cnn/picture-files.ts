import { lstat, readdir, stat } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { FractoryError, messageOf, systemCodeOf } from '../../runtime/errors.js';

/** A picture to ask about, or why there is none under that name. */
export type FoundPicture =
  | { readonly file: string; readonly sizeBytes: number }
  | { readonly file: string; readonly error: FractoryError };

/** What folders held besides pictures. */
export interface LeftOut {
  /** Files whose names end like no picture's. */
  otherFiles: number;
}

const PICTURE_NAME = /\.(jpe?g|jpe|jfif|png|webp|gif|tiff?|avif)$/i;

/**
 * The pictures that a command line names, one after the other: a file is asked about whatever its name is; of a folder those whose names end
 * like a picture's, in order of their names, sub-folders too. Hidden files and symbolic links in folders are left out. Only names of one folder and
 * those above are held at a time.
 */
export async function* findPictures(
  names: AsyncIterable<string> | Iterable<string>,
  leftOut: LeftOut,
): AsyncGenerator<FoundPicture, void, undefined> {
  for await (const name of names) yield* picturesOf(name, leftOut);
}

/** How many `findPictures` would find. */
export async function countPictures(
  names: Iterable<string>,
  signal: AbortSignal,
): Promise<number | undefined> {
  const found = findPictures(names, { otherFiles: 0 });
  for (let count = 0; ; count++) {
    const { done } = await found.next();
    if (signal.aborted) return undefined;
    if (done) return count;
  }
}

/** Names that stand one in a line (or with a NUL behind each), as `find` and `find -print0` print them. */
export async function* namesIn(input: AsyncIterable<Buffer | string>): AsyncGenerator<string> {
  let rest = '';
  const decoder = new TextDecoder();
  for await (const chunk of input) {
    rest += typeof chunk === 'string' ? chunk : decoder.decode(chunk, { stream: true });
    const lines = rest.split(/\r?\n|\0/);
    rest = lines.pop() ?? '';
    yield* lines.filter((line) => line !== '');
  }
  if (rest !== '') yield rest;
}

async function* picturesOf(name: string, leftOut: LeftOut): AsyncGenerator<FoundPicture> {
  try {
    const found = await stat(name);
    if (!found.isDirectory()) yield pictureOf(name, found);
    else yield* withAnyIn(name, picturesIn(name, leftOut));
  } catch (error) {
    yield { file: name, error: fileProblem(error, name) };
  }
}

function pictureOf(
  file: string,
  found: { readonly size: number; isFile(): boolean },
): FoundPicture {
  if (found.isFile()) return { file, sizeBytes: found.size };
  const problem = `${file} is neither a file nor a folder`;
  return { file, error: new FractoryError(status.INVALID_ARGUMENT, 'NOT_A_FILE', problem) };
}

/** A folder that somebody named and that holds no picture is a mistake of theirs. */
async function* withAnyIn(
  folder: string,
  pictures: AsyncIterable<FoundPicture>,
): AsyncGenerator<FoundPicture> {
  let any = false;
  for await (const picture of pictures) {
    any = true;
    yield picture;
  }
  if (any) return;
  const error = new FractoryError(
    status.NOT_FOUND,
    'NO_PICTURES',
    `there are no pictures in ${folder}`,
  );
  yield { file: folder, error };
}

async function* picturesIn(folder: string, leftOut: LeftOut): AsyncGenerator<FoundPicture> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  for (const entry of entries) {
    const file = path.join(folder, entry.name);
    if (entry.name.startsWith('.') || entry.isSymbolicLink()) continue;
    if (entry.isDirectory()) yield* readable(file, picturesIn(file, leftOut));
    else if (entry.isFile() && PICTURE_NAME.test(entry.name)) yield await sized(file);
    else leftOut.otherFiles++;
  }
}

/** A folder below that can't be read is one failure among the others. */
async function* readable(
  folder: string,
  pictures: AsyncIterable<FoundPicture>,
): AsyncGenerator<FoundPicture> {
  try {
    yield* pictures;
  } catch (error) {
    yield { file: folder, error: fileProblem(error, folder) };
  }
}

async function sized(file: string): Promise<FoundPicture> {
  try {
    return pictureOf(file, await lstat(file));
  } catch (error) {
    return { file, error: fileProblem(error, file) };
  }
}

/** What the operating system said of a local file, as one line for people. */
export function fileProblem(thrown: unknown, file: string): FractoryError {
  if (thrown instanceof FractoryError) return thrown;
  switch (systemCodeOf(thrown)) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new FractoryError(
        status.NOT_FOUND,
        'FILE_NOT_FOUND',
        `there is no file or folder ${file}`,
      );
    case 'EACCES':
    case 'EPERM':
      return new FractoryError(
        status.PERMISSION_DENIED,
        'NOT_READABLE',
        `${file} may not be read by this user`,
      );
    case undefined:
      throw thrown;
    default:
      return new FractoryError(
        status.FAILED_PRECONDITION,
        'NOT_READABLE',
        `${file} can't be read: ${messageOf(thrown)}`,
      );
  }
}
