import { parentPort } from 'node:worker_threads';
import type { Transferable } from 'node:worker_threads';

import { FractoryError, messageOf } from './errors.js';
import type { StatusCode } from './errors.js';

/** A FractoryError on its way out of a worker. */
export interface WorkerFailure {
  readonly code: StatusCode | undefined;
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly field: string | undefined;
}

/** What a pool sends to its workers. */
export interface WorkerRequest {
  readonly id: number;
  readonly task: unknown;
}

/** What workers send to their pool: `ready` once, then one reply per request. */
export type WorkerMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'result'; readonly id: number; readonly result: unknown }
  | { readonly kind: 'failure'; readonly id: number; readonly failure: WorkerFailure };

/** Answers one task; may also give what of the result moves instead of being copied. */
export type TaskHandler<Task, Result> = (task: Task) => Promise<Result> | Result;

/** Main loop of a worker's script: prepares, says that it is ready, then answers tasks one at a time. */
export async function serveTasks<Task, Result>(
  prepare: () => Promise<TaskHandler<Task, Result>>,
): Promise<void> {
  const port = connect();
  const handler = await prepare();
  port.onRequest((request) => {
    void answer(handler, request).then((message) => {
      port.send(message);
    });
  });
  port.send({ kind: 'ready' });
}

async function answer<Task, Result>(
  handler: TaskHandler<Task, Result>,
  request: WorkerRequest,
): Promise<WorkerMessage> {
  try {
    return { kind: 'result', id: request.id, result: await handler(request.task as Task) };
  } catch (error) {
    return { kind: 'failure', id: request.id, failure: toFailure(error) };
  }
}

/** What was thrown, in a form that can leave a worker. */
export function toFailure(error: unknown): WorkerFailure {
  if (!(error instanceof FractoryError))
    return {
      code: undefined,
      reason: '',
      message: error instanceof Error ? (error.stack ?? error.message) : messageOf(error),
      metadata: {},
      field: undefined,
    };
  const { code, reason, message, metadata } = error;
  return { code, reason, message, metadata, field: error.violations[0]?.field };
}

/** The error that a worker reported; one that isn't a FractoryError is a bug and stays one. */
export function fromFailure(failure: WorkerFailure): Error {
  const { code, reason, message, metadata, field } = failure;
  if (code === undefined) return new Error(`worker failed: ${message}`);
  return new FractoryError(code, reason, message, {
    metadata,
    ...(field === undefined ? {} : { violations: [{ field, description: message }] }),
  });
}

interface Port {
  send(message: WorkerMessage, transfer?: readonly Transferable[]): void;
  onRequest(listener: (request: WorkerRequest) => void): void;
}

function connect(): Port {
  const thread = parentPort;
  if (thread)
    return {
      send: (message) => {
        thread.postMessage(message);
      },
      onRequest: (listener) => thread.on('message', listener),
    };
  // A process: when the channel closes, the node that owns it is gone.
  process.on('disconnect', () => {
    process.exit(0);
  });
  return {
    send: (message) => {
      process.send?.(message);
    },
    onRequest: (listener) => process.on('message', listener),
  };
}
