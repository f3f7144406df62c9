import { status } from '@grpc/grpc-js';

import { FractoryError, invalidArgument, limitExceeded } from '../../runtime/errors.js';
import { StorageServiceService } from '../../protos/gen/fractory/v1/storage.js';
import type {
  DeleteRequest,
  DeleteResponse,
  PutHeader,
  PutRequest,
  PutResponse,
  StatRequest,
  StatResponse,
  StorageServiceGetRequest,
  StorageServiceGetResponse,
  StorageServiceListRequest,
  StorageServiceListResponse,
  StoredFile as StoredFileMessage,
} from '../../protos/gen/fractory/v1/storage.js';
import { refuseReserved } from '../../services/storage/checks.js';
import type { StorageLimits } from '../../services/storage/limits.js';
import type { FileStore } from '../../services/storage/store.js';
import type { StoredFile } from '../../services/storage/stored-file.js';
import { clientStream, serverStream, typedService, unary } from '../kernel/calls.js';
import type { CallContext, TypedService } from '../kernel/calls.js';

/** The typed face of a store. */
export function storageService(store: FileStore, limits: StorageLimits): TypedService {
  return typedService(StorageServiceService, {
    put: clientStream((requests: AsyncIterable<PutRequest>, context) =>
      put(store, limits, requests, context),
    ),
    get: serverStream((request: StorageServiceGetRequest, context) => get(store, request, context)),
    stat: unary(async ({ client, name }: StatRequest, context): Promise<StatResponse> => {
      checkClient(client, context);
      const { signal } = context;
      return { file: message(await store.stat({ client, name }, { signal })) };
    }),
    list: unary(
      async (request: StorageServiceListRequest, context): Promise<StorageServiceListResponse> => {
        checkClient(request.client, context);
        const { signal } = context;
        const { files, nextPageToken } = await store.list({ ...request, signal });
        return { files: files.map(message), nextPageToken };
      },
    ),
    delete: unary(async (request: DeleteRequest, context): Promise<DeleteResponse> => {
      const { client, name, ifVersion } = request;
      checkClient(client, context);
      await store.delete({ client, name }, { ifVersion });
      return {};
    }),
  });
}

/** Files of reserved clients are for controllers. */
function checkClient(client: string, { isController }: CallContext): void {
  if (!isController?.()) refuseReserved(client);
}

async function put(
  store: FileStore,
  limits: StorageLimits,
  requests: AsyncIterable<PutRequest>,
  context: CallContext,
): Promise<PutResponse> {
  const { signal } = context;
  const parts = requests[Symbol.asyncIterator]();
  try {
    const header = await headerOf(parts);
    const { client, name, ifVersion, mediaType, sha256 } = header;
    checkClient(client, context);
    const file = await store.write({ client, name }, chunksOf(parts, limits.max_chunk_bytes), {
      signal,
      ifVersion,
      mediaType,
      sha256,
    });
    return { file: message(file) };
  } catch (error) {
    // Told, not waited for: the caller may be silent.
    void parts.return?.().catch(() => undefined);
    throw error;
  }
}

async function headerOf(parts: AsyncIterator<PutRequest>): Promise<PutHeader> {
  const first = await parts.next();
  if (first.done === true)
    throw invalidArgument('header', 'is missing: the upload is empty', 'HEADER_MISSING');
  const { part } = first.value;
  if (part?.$case === 'chunk')
    throw invalidArgument('chunk', 'came before the header', 'CHUNK_BEFORE_HEADER');
  if (!part) throw emptyRequest();
  return part.value;
}

async function* chunksOf(
  parts: AsyncIterator<PutRequest>,
  maxChunkBytes: number,
): AsyncGenerator<Uint8Array, void> {
  for (;;) {
    const next = await parts.next();
    if (next.done === true) return;
    const { part } = next.value;
    if (!part) throw emptyRequest();
    if (part.$case === 'header')
      throw invalidArgument('header', 'came a second time', 'SECOND_HEADER');
    if (part.value.length > maxChunkBytes) throw chunkTooLarge(part.value.length, maxChunkBytes);
    yield part.value;
  }
}

function emptyRequest(): FractoryError {
  return invalidArgument('part', 'is neither a header nor a chunk', 'EMPTY_REQUEST');
}

function chunkTooLarge(sizeBytes: number, allowed: number): FractoryError {
  const what = 'size of a chunk in bytes';
  const { message, metadata } = limitExceeded('max_chunk_bytes', sizeBytes, allowed, { what });
  return new FractoryError(status.RESOURCE_EXHAUSTED, 'CHUNK_TOO_LARGE', message, { metadata });
}

async function* get(
  store: FileStore,
  { client, name }: StorageServiceGetRequest,
  context: CallContext,
): AsyncGenerator<StorageServiceGetResponse, void> {
  checkClient(client, context);
  const { signal } = context;
  await using opened = await store.open({ client, name }, { signal });
  yield { part: { $case: 'file', value: message(opened.file) } };
  for await (const chunk of opened.chunks()) yield { part: { $case: 'chunk', value: chunk } };
}

function message(file: StoredFile): StoredFileMessage {
  const { client, name, version, sizeBytes, sha256, mediaType, modifiedMs } = file;
  return {
    client,
    name,
    version,
    sizeBytes: BigInt(sizeBytes),
    sha256,
    mediaType,
    modifiedAt: new Date(modifiedMs),
  };
}
