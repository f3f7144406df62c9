import { createHash } from 'node:crypto';

import { Metadata, status } from '@grpc/grpc-js';

import { StorageServiceClient } from '../../protos/gen/fractory/v1/storage.js';
import type {
  PutResponse,
  StatResponse,
  StorageServiceGetResponse,
  StorageServiceListResponse,
  StoredFile,
} from '../../protos/gen/fractory/v1/storage.js';
import { toFractoryError } from '../../protos/status.js';
import { withDeadline } from '../../runtime/deadline.js';
import { FractoryError, unavailable } from '../../runtime/errors.js';
import type { Peers } from '../kernel/device.js';

/** A file of the journal. */
export interface JournalFile {
  readonly run: string;
  readonly version: bigint;
  /** Its run has ended. */
  readonly isEnded: boolean;
  readonly modifiedMs: number;
}

/** Where records lie: one file a run, each write a test-and-set of its version. */
export interface JournalFiles {
  /** Writes where the file has version `ifVersion` now (0 = is not there) and returns its new version; ABORTED (VERSION_MISMATCH) otherwise. */
  put(
    file: Pick<JournalFile, 'run' | 'isEnded'>,
    ifVersion: bigint,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<bigint>;
  /** Undefined = it is not there. */
  get(
    run: string,
    signal: AbortSignal,
  ): Promise<{ readonly version: bigint; readonly bytes: Uint8Array } | undefined>;
  /** All of them. */
  list(signal: AbortSignal): Promise<JournalFile[]>;
  /** One that is not there is no error, one of another version is ABORTED (VERSION_MISMATCH). */
  remove(file: Pick<JournalFile, 'run' | 'version'>, signal: AbortSignal): Promise<void>;
}

/** Reserved for the data center itself: only controllers may use it. */
const CLIENT = '_runs';
const OPEN = 'application/vnd.fractory.run; state=open';
const ENDED = 'application/vnd.fractory.run; state=ended';
const CHUNK_BYTES = 256 * 1024;
/** Longest time for one call to one member before the next is asked, ms; and for each mebibyte on top. */
const CALL_MS = 2000;
const CALL_MS_PER_MIB = 200;

/** The journal in storage, through whichever member leads it. */
export class StoredJournalFiles implements JournalFiles {
  readonly #peers: Peers;

  constructor(peers: Peers) {
    this.#peers = peers;
  }

  async put(
    { run, isEnded }: Pick<JournalFile, 'run' | 'isEnded'>,
    ifVersion: bigint,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<bigint> {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const mediaType = isEnded ? ENDED : OPEN;
    const header = { client: CLIENT, name: run, ifVersion, mediaType, sha256 };
    const timeoutMs = CALL_MS + (CALL_MS_PER_MIB * bytes.length) / 1024 ** 2;
    try {
      const { file } = await this.#call(timeoutMs, signal, (storage, stop) =>
        unary<PutResponse>(stop, (done) => {
          const call = storage.put(new Metadata(), done);
          call.write({ part: { $case: 'header', value: header } });
          for (let at = 0; at < bytes.length; at += CHUNK_BYTES)
            call.write({ part: { $case: 'chunk', value: bytes.subarray(at, at + CHUNK_BYTES) } });
          call.end();
          return call;
        }),
      );
      return file?.version ?? 0n;
    } catch (error) {
      if (!isReason(error, 'VERSION_MISMATCH')) throw error;
      // It may be our own write whose answer was lost.
      const file = await this.#stat(run, signal);
      if (file?.sha256 === sha256 && file.mediaType === mediaType) return file.version;
      throw error;
    }
  }

  get(
    run: string,
    signal: AbortSignal,
  ): Promise<{ readonly version: bigint; readonly bytes: Uint8Array } | undefined> {
    return orUndefined(
      this.#call(CALL_MS * 4, signal, async (storage, stop) => {
        const stream = storage.get({ client: CLIENT, name: run });
        const cancel = (): void => {
          stream.cancel();
        };
        stop.addEventListener('abort', cancel, { once: true });
        try {
          return await whole(stream);
        } finally {
          stop.removeEventListener('abort', cancel);
          stream.cancel();
        }
      }),
    );
  }

  async list(signal: AbortSignal): Promise<JournalFile[]> {
    const files: JournalFile[] = [];
    let pageToken = '';
    do {
      const request = { client: CLIENT, prefix: '', pageSize: 0, pageToken };
      const page = await this.#call(CALL_MS * 4, signal, (storage, stop) =>
        unary<StorageServiceListResponse>(stop, (done) => storage.list(request, done)),
      );
      for (const { name, version, mediaType, modifiedAt } of page.files)
        files.push({
          ...{ run: name, version, isEnded: mediaType === ENDED },
          modifiedMs: modifiedAt?.getTime() ?? 0,
        });
      pageToken = page.nextPageToken;
    } while (pageToken !== '');
    return files;
  }

  async remove(
    { run: name, version: ifVersion }: Pick<JournalFile, 'run' | 'version'>,
    signal: AbortSignal,
  ): Promise<void> {
    await orUndefined(
      this.#call(CALL_MS, signal, (storage, stop) =>
        unary(stop, (done) => storage.delete({ client: CLIENT, name, ifVersion }, done)),
      ),
    );
  }

  async #stat(name: string, signal: AbortSignal): Promise<StoredFile | undefined> {
    const answer = await orUndefined(
      this.#call(CALL_MS, signal, (storage, stop) =>
        unary<StatResponse>(stop, (done) => storage.stat({ client: CLIENT, name }, done)),
      ),
    );
    return answer?.file;
  }

  /** A member that says nothing counts as one that can't be reached: the next is asked. */
  #call<T>(
    timeoutMs: number,
    signal: AbortSignal,
    call: (storage: StorageServiceClient, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return this.#peers.call(
      'storage',
      StorageServiceClient,
      async (storage, stop) => {
        try {
          return await withDeadline(timeoutMs, 'the journal', (own) => call(storage, own), stop);
        } catch (error) {
          if (stop.aborted || !isCode(error, status.DEADLINE_EXCEEDED)) throw error;
          throw unavailable('STORAGE_SILENT', 'storage did not answer the journal', {
            cause: error,
          });
        }
      },
      signal,
    );
  }
}

/** A unary call as a promise that ends with `signal`. */
function unary<R>(
  signal: AbortSignal,
  start: (done: (error: Error | null, answer: R) => void) => { cancel(): void },
): Promise<R> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const cancel = (): void => {
      call.cancel();
    };
    const call = start((error, answer) => {
      signal.removeEventListener('abort', cancel);
      if (error) reject(toFractoryError(error));
      else resolve(answer);
    });
    signal.addEventListener('abort', cancel, { once: true });
  });
}

async function whole(
  parts: AsyncIterable<StorageServiceGetResponse>,
): Promise<{ version: bigint; bytes: Uint8Array }> {
  let version = 0n;
  const chunks: Uint8Array[] = [];
  for await (const { part } of parts) {
    if (part?.$case === 'file') version = part.value.version;
    else if (part?.$case === 'chunk') chunks.push(part.value);
  }
  return { version, bytes: Buffer.concat(chunks) };
}

async function orUndefined<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (isCode(error, status.NOT_FOUND)) return undefined;
    throw error;
  }
}

function isCode(thrown: unknown, code: status): boolean {
  const error = toFractoryError(thrown);
  // NOT_FOUND of a whole device type is another matter.
  return error.code === code && error.reason !== 'UNKNOWN_TYPE';
}

/** Whether something failed for this reason. */
export function isReason(thrown: unknown, reason: string): boolean {
  return thrown instanceof FractoryError && thrown.reason === reason;
}
