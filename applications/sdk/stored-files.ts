import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { Metadata, status } from '@grpc/grpc-js';

import { StorageServiceClient } from '../../protos/gen/fractory/v1/storage.js';
import type {
  PutResponse,
  StatResponse,
  StoredFile,
  PutHeader,
  PutRequest,
} from '../../protos/gen/fractory/v1/storage.js';
import { toFractoryError } from '../../protos/status.js';
import { FractoryError } from '../../runtime/errors.js';
import { callOptions, unaryCall } from './connection.js';
import type { Connection } from './connection.js';
import type { FileName } from './steps.js';

const CHUNK_BYTES = 256 * 1024;
const TRANSFER_TIMEOUT_MS = 120_000;

/** Files in storage, through the typed service: for what an application does before and after its runs. */
export class StoredFiles {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** What is known of a file; undefined if it doesn't exist. */
  async stat(file: FileName): Promise<StoredFile | undefined> {
    try {
      const response = await this.#connection.leader(
        'storage',
        StorageServiceClient,
        (client, signal) =>
          unaryCall<StatResponse>(signal, (metadata, done) =>
            client.stat(file, metadata, callOptions(), done),
          ),
      );
      return response.file;
    } catch (error) {
      if (error instanceof FractoryError && error.code === status.NOT_FOUND) return undefined;
      throw error;
    }
  }

  /** Writes bytes, or text as UTF-8. */
  write(file: FileName, content: Uint8Array | string): Promise<StoredFile> {
    const data = typeof content === 'string' ? Buffer.from(content) : content;
    return this.put(file, () => chunksOf(data));
  }

  /** Uploads a local file as a stream, unless storage has the same content under that name already. */
  async upload(file: FileName, path: string): Promise<{ stored: StoredFile; uploaded: boolean }> {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
    const known = await this.stat(file);
    if (known?.sha256 === hash.digest('hex')) return { stored: known, uploaded: false };
    const open = (): AsyncIterable<Buffer> =>
      createReadStream(path, { highWaterMark: CHUNK_BYTES });
    return { stored: await this.put(file, open), uploaded: true };
  }

  /** Reads a whole file. */
  read(file: FileName): Promise<Buffer> {
    return this.#connection.leader('storage', StorageServiceClient, async (client, signal) => {
      const call = client.get(file, new Metadata(), callOptions(TRANSFER_TIMEOUT_MS));
      const cancel = (): void => {
        call.cancel();
      };
      signal.addEventListener('abort', cancel, { once: true });
      const chunks: Uint8Array[] = [];
      for await (const message of call) {
        const { part } = message as { part?: { $case: string; value: unknown } };
        if (part?.$case === 'chunk') chunks.push(part.value as Uint8Array);
      }
      signal.removeEventListener('abort', cancel);
      return Buffer.concat(chunks);
    });
  }

  /** Stores what `open` yields; it is opened again where storage has to be asked again. */
  protected put(
    { client: owner, name }: FileName,
    open: () => AsyncIterable<Uint8Array>,
  ): Promise<StoredFile> {
    return this.#connection.leader(
      'storage',
      StorageServiceClient,
      (client) =>
        new Promise((resolve, reject) => {
          const ended = new AbortController();
          const finish = (error: Error | null, response: PutResponse): void => {
            ended.abort();
            if (error) reject(toFractoryError(error));
            else if (response.file) resolve(response.file);
            else reject(new Error('storage answered without saying what it stored'));
          };
          const call = client.put(new Metadata(), callOptions(TRANSFER_TIMEOUT_MS), finish);
          const header = { client: owner, name, mediaType: '', sha256: '' };
          pipeline(partsOf(header, open()), call as unknown as Writable, {
            signal: ended.signal,
          }).catch((error: unknown) => {
            // After the end of the call its status has told all.
            if (ended.signal.aborted) return;
            call.cancel();
            reject(error instanceof Error ? error : new Error(String(error)));
          });
        }),
    );
  }
}

/** Files that can be read only: what an application wants to write is looked at and forgotten. */
export class UnwrittenFiles extends StoredFiles {
  protected override put({ client, name }: FileName): Promise<StoredFile> {
    const nothing = { version: 0n, sizeBytes: 0n, sha256: '', mediaType: '' };
    return Promise.resolve({ client, name, ...nothing });
  }
}

async function* partsOf(
  header: PutHeader,
  chunks: AsyncIterable<Uint8Array>,
): AsyncGenerator<PutRequest> {
  yield { part: { $case: 'header', value: header } };
  for await (const chunk of chunks) yield { part: { $case: 'chunk', value: chunk } };
}

// eslint-disable-next-line @typescript-eslint/require-await -- one shape with the file's stream
async function* chunksOf(data: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < data.length; start += CHUNK_BYTES)
    yield data.subarray(start, start + CHUNK_BYTES);
}
