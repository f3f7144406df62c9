import { status } from '@grpc/grpc-js';
import { Exception } from 'node-zookeeper-client';

import { FractoryError } from '../runtime/errors.js';
import type { StatusCode } from '../runtime/errors.js';

/**
 * Ways for a ZooKeeper operation to fail. After `connection-loss` and `timeout` it is unknown whether a write was done.
 * `session-lost`: the session that the operation belonged to is over.
 */
export type ZooKeeperFailure =
  | 'no-node'
  | 'node-exists'
  | 'not-empty'
  | 'no-auth'
  | 'bad-version'
  | 'connection-loss'
  | 'timeout'
  | 'session-lost'
  | 'closed'
  | 'other';

const CODES: Readonly<Record<ZooKeeperFailure, StatusCode>> = {
  'no-node': status.NOT_FOUND,
  'node-exists': status.ALREADY_EXISTS,
  'not-empty': status.FAILED_PRECONDITION,
  'no-auth': status.PERMISSION_DENIED,
  'bad-version': status.ABORTED,
  'connection-loss': status.UNAVAILABLE,
  timeout: status.DEADLINE_EXCEEDED,
  'session-lost': status.UNAVAILABLE,
  closed: status.CANCELLED,
  other: status.UNAVAILABLE,
};

const FAILURES: ReadonlyMap<number, ZooKeeperFailure> = new Map([
  [Exception.NO_NODE, 'no-node'],
  [Exception.NODE_EXISTS, 'node-exists'],
  [Exception.NOT_EMPTY, 'not-empty'],
  [Exception.NO_AUTH, 'no-auth'],
  [Exception.BAD_VERSION, 'bad-version'],
  [Exception.AUTH_FAILED, 'no-auth'],
  [Exception.INVALID_ACL, 'no-auth'],
  [Exception.CONNECTION_LOSS, 'connection-loss'],
  [Exception.OPERATION_TIMEOUT, 'timeout'],
  [Exception.SESSION_EXPIRED, 'session-lost'],
]);

/** A failed ZooKeeper operation. */
export class ZooKeeperError extends FractoryError {
  readonly failure: ZooKeeperFailure;

  constructor(failure: ZooKeeperFailure, message: string, cause?: unknown) {
    const reason = `ZOOKEEPER_${failure.replace('-', '_').toUpperCase()}`;
    super(CODES[failure], reason, message, cause === undefined ? {} : { cause });
    this.name = 'ZooKeeperError';
    this.failure = failure;
  }
}

/** True where `thrown` is a failed ZooKeeper operation of one of these kinds. */
export function failedWith(thrown: unknown, ...failures: readonly ZooKeeperFailure[]): boolean {
  return thrown instanceof ZooKeeperError && failures.includes(thrown.failure);
}

/** What the library gave to a callback, as our error. `operation` names what was done to what. */
export function toZooKeeperError(thrown: unknown, operation: string): ZooKeeperError {
  const code = thrown instanceof Exception ? thrown.getCode() : undefined;
  const failure = (code === undefined ? undefined : FAILURES.get(code)) ?? 'other';
  const name = thrown instanceof Exception ? thrown.getName() : String(thrown);
  return new ZooKeeperError(failure, `zookeeper: ${operation} failed: ${name}`, thrown);
}

/** The session of that number is over. */
export function lostError(operation: string, generation: number, cause?: unknown): ZooKeeperError {
  const text = `zookeeper: ${operation}: session number ${String(generation)} is over`;
  return new ZooKeeperError('session-lost', text, cause);
}

/** The session was closed by this process. */
export function closedError(operation: string, cause?: unknown): ZooKeeperError {
  return new ZooKeeperError('closed', `zookeeper: ${operation}: the session was closed`, cause);
}
