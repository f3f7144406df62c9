import { Metadata } from '@grpc/grpc-js';

import {
  StorageServiceClient,
  type StorageServiceListRequest,
  type StorageServiceListResponse,
  type StoredFile,
} from '../../protos/gen/fractory/v1/storage.js';
import { callDeadline, withDeadline } from '../../runtime/deadline.js';
import type { PictureSource, SourceFile } from '../../services/cnn/training/data/source.js';
import { refuseReserved } from '../../services/storage/checks.js';
import type { Peers } from '../kernel/device.js';
import { fetchStoredImage } from './stored-image.js';

/** Longest time for one page of a list of files, or for one file, ms. */
const CALL_TIMEOUT_MS = 30_000;

export interface StoredPicturesOptions {
  readonly client: string;
  /** Only files whose names start with this. */
  readonly prefix: string;
  readonly maxImageBytes: number;
}

/** A client's files in storage as training data; see `storedPath` for what their names say. */
export function storedPictures(peers: Peers, options: StoredPicturesOptions): PictureSource {
  // The node shows the key of the controllers; whom it asks for may not have one.
  refuseReserved(options.client);
  return { files: (signal) => filesOf(peers, options, signal) };
}

/**
 * The path that a file's name stands for. Names in storage have no folders: dots stand for slashes, except for the last, so that
 * `cat.0001.jpg` and `pets.train.cat.0001.jpg` are both cats.
 */
export function storedPath(name: string): string {
  const parts = name.split('.');
  const extension = parts.pop() ?? '';
  const last = parts.pop();
  return last === undefined ? extension : [...parts, `${last}.${extension}`].join('/');
}

async function* filesOf(
  peers: Peers,
  options: StoredPicturesOptions,
  signal: AbortSignal,
): AsyncGenerator<SourceFile, void> {
  let pageToken = '';
  do {
    const page = await listPage(peers, options, pageToken, signal);
    for (const file of page.files) yield sourceFile(peers, options, file, signal);
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
}

function sourceFile(
  peers: Peers,
  { client, maxImageBytes: maxBytes }: StoredPicturesOptions,
  { name, sizeBytes, sha256 }: StoredFile,
  signal: AbortSignal,
): SourceFile {
  return {
    ...{ path: storedPath(name), sizeBytes: Number(sizeBytes) },
    ...(sha256 === '' ? {} : { sha256 }),
    read: () =>
      withDeadline(
        CALL_TIMEOUT_MS,
        `reading ${client}/${name} from storage`,
        (deadline) => fetchStoredImage(peers, { client, name, maxBytes, signal: deadline }),
        signal,
      ),
  };
}

function listPage(
  peers: Peers,
  { client, prefix }: StoredPicturesOptions,
  pageToken: string,
  signal: AbortSignal,
): Promise<StorageServiceListResponse> {
  const request = { client, prefix, pageToken, pageSize: 0 };
  return withDeadline(
    CALL_TIMEOUT_MS,
    `listing the files of ${client} in storage`,
    (deadline) =>
      peers.call(
        'storage',
        StorageServiceClient,
        (storage, callSignal) => list(storage, request, callSignal),
        deadline,
      ),
    signal,
  );
}

function list(
  storage: StorageServiceClient,
  request: StorageServiceListRequest,
  signal: AbortSignal,
): Promise<StorageServiceListResponse> {
  return new Promise((resolve, reject) => {
    const cancel = (): void => {
      call.cancel();
    };
    const options = callDeadline(signal, CALL_TIMEOUT_MS);
    const call = storage.list(request, new Metadata(), options, (error, response) => {
      signal.removeEventListener('abort', cancel);
      if (error) reject(error);
      else resolve(response);
    });
    signal.addEventListener('abort', cancel, { once: true });
  });
}
