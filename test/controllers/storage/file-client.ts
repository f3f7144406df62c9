import { Metadata, status } from '@grpc/grpc-js';

import { StorageServiceClient } from '../../../protos/gen/fractory/v1/storage.js';
import type {
  DeleteResponse,
  PutResponse,
  StorageServiceGetResponse,
  StoredFile,
} from '../../../protos/gen/fractory/v1/storage.js';
import { toFractoryError } from '../../../protos/status.js';
import { ChannelPool } from '../../../runtime/channels.js';
import { FractoryError } from '../../../runtime/errors.js';
import type { FileRef } from '../../../services/storage/failures.js';

const DEADLINE_MS = 4000;

/** Refusals that say that nothing was done. */
const UNTOUCHED = ['NOT_LEADER', 'FENCED', 'TOO_MANY_TRANSFERS', 'OVERLOADED'];

/** Whether a call was refused before it could have an effect, so that it may be made again as if it had not been. */
export function isUntouched(error: unknown): boolean {
  return error instanceof FractoryError && UNTOUCHED.includes(error.reason);
}

/** Calls of storage nodes as a foreign client makes them, by address. Failures are FractoryErrors. */
export class FileClient implements Disposable {
  readonly #pool = new ChannelPool();

  put(address: string, ref: FileRef, content: Buffer, ifVersion?: bigint): Promise<StoredFile> {
    return translated(
      new Promise((resolve, reject) => {
        const call = this.#client(address).put(
          { deadline: Date.now() + DEADLINE_MS },
          (error: Error | null, response: PutResponse | undefined) => {
            const file = response?.file;
            if (file) resolve(file);
            else reject(error ?? new Error('the answer has no file'));
          },
        );
        // A call that fails meanwhile says so in its answer.
        call.on('error', () => undefined);
        const header = { ...ref, ifVersion, mediaType: '', sha256: '' };
        call.write({ part: { $case: 'header', value: header } });
        const CHUNK_BYTES = 1024 ** 2;
        for (let at = 0; at < content.length; at += CHUNK_BYTES)
          call.write({ part: { $case: 'chunk', value: content.subarray(at, at + CHUNK_BYTES) } });
        call.end();
      }),
    );
  }

  get(
    address: string,
    ref: FileRef,
  ): Promise<{ readonly file: StoredFile; readonly data: Buffer }> {
    const read = async (): Promise<{ file: StoredFile; data: Buffer }> => {
      const deadline = Date.now() + DEADLINE_MS;
      const stream = this.#client(address).get(ref, { deadline });
      let file: StoredFile | undefined;
      const chunks: Uint8Array[] = [];
      for await (const { part } of stream as AsyncIterable<StorageServiceGetResponse>)
        if (part?.$case === 'file') file = part.value;
        else if (part) chunks.push(part.value);
      if (!file) throw new Error('the answer has no file');
      return { file, data: Buffer.concat(chunks) };
    };
    return translated(read());
  }

  delete(address: string, ref: FileRef, ifVersion?: bigint): Promise<void> {
    return translated(
      new Promise((resolve, reject) => {
        this.#client(address).delete(
          { ...ref, ifVersion },
          new Metadata(),
          { deadline: Date.now() + DEADLINE_MS },
          (error: Error | null, response: DeleteResponse | undefined) => {
            if (response) resolve();
            else reject(error ?? new Error('there is no answer'));
          },
        );
      }),
    );
  }

  [Symbol.dispose](): void {
    this.#pool.close();
  }

  #client(address: string): StorageServiceClient {
    return this.#pool.client(StorageServiceClient, address);
  }
}

async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw toFractoryError(error);
  }
}

/** What a failure says was there instead, and undefined for another failure. */
export function mismatchOf(error: unknown): bigint | undefined {
  if (!(error instanceof FractoryError) || error.code !== status.ABORTED) return undefined;
  return BigInt(error.metadata['version'] ?? 0);
}
