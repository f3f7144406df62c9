import type { EventEmitter } from 'node:events';

import { Metadata, status } from '@grpc/grpc-js';
import type { ClientUnaryCall, ClientWritableStream, ServiceError } from '@grpc/grpc-js';

import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import type { ControllerServiceClient } from '../../../protos/gen/fractory/v1/controller.js';
import type {
  TransferEnd,
  WriteRequest,
  WriteResponse,
} from '../../../protos/gen/fractory/v1/controller.js';
import { toFractoryError } from '../../../protos/status.js';
import { FractoryError } from '../../../runtime/errors.js';

/** Bytes of one message of an upload: every node takes as much. */
const PIECE_BYTES = 256 * 1024;

type Done<R> = (error: ServiceError | null, response: R) => void;
type Call = ClientUnaryCall | ClientWritableStream<WriteRequest>;

/** The answer to a call that `start` begins; an abort cancels the call and rejects with its reason. */
export async function settled<R>(start: (done: Done<R>) => Call, signal: AbortSignal): Promise<R> {
  if (signal.aborted) throw toFractoryError(signal.reason);
  let onAbort = (): void => undefined;
  try {
    return await new Promise<R>((resolve, reject) => {
      const call = start((error, response) => {
        if (error) reject(toFractoryError(error));
        else resolve(response);
      });
      onAbort = () => {
        reject(toFractoryError(signal.reason));
        call.cancel();
      };
      signal.addEventListener('abort', onAbort);
    });
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

export interface CallCircumstances {
  readonly client: ControllerServiceClient;
  /** ms since 1970. */
  readonly deadline: number;
  readonly signal: AbortSignal;
}

/** Writes `chunks` into a memory of another controller. */
export async function upload(
  { client, deadline, signal }: CallCircumstances,
  { capability, offset }: { readonly capability: Capability; readonly offset: number },
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<WriteResponse> {
  const writing = new AbortController();
  let broken: unknown;
  const answer = settled<WriteResponse>((done) => {
    const call = client.write(new Metadata(), { deadline }, (error, response) => {
      // Nobody takes what is still to be written.
      writing.abort();
      done(error, response);
    });
    const header = { capability, offset: BigInt(offset) };
    call.write({ part: { $case: 'header', value: header } });
    writeAll(call, chunks, writing.signal).then(
      () => call.end(),
      (error: unknown) => {
        broken = error;
        call.cancel();
      },
    );
    return call;
  }, signal);
  try {
    return await answer;
  } catch (error) {
    // The source's own error, not that of the call which ended for it.
    throw broken ?? error;
  }
}

async function writeAll(
  call: ClientWritableStream<WriteRequest>,
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  stop: AbortSignal,
): Promise<void> {
  for await (const chunk of chunks)
    for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
      if (stop.aborted) return;
      const value = chunk.subarray(at, at + PIECE_BYTES);
      if (!call.write({ part: { $case: 'chunk', value } })) await drained(call, stop);
    }
}

function drained(call: EventEmitter, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      call.off('drain', done);
      stop.removeEventListener('abort', done);
      resolve();
    };
    call.on('drain', done);
    stop.addEventListener('abort', done);
  });
}

/** The end of a transfer that the other controller told. */
export function whole(end: TransferEnd | undefined): TransferEnd {
  if (end) return end;
  throw new FractoryError(status.DATA_LOSS, 'CONTENT_DAMAGED', 'the answer does not tell the end');
}
