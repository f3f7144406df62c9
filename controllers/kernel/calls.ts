import type { Metadata, ServerDuplexStream, ServiceDefinition } from '@grpc/grpc-js';

import type { Logger } from '../../runtime/logger.js';

/** What a handler knows of the call that it answers. */
export interface CallContext {
  /** Aborts at the caller's deadline (or the node's own limit), at a cancel and when the node stops; its reason is the error. */
  readonly signal: AbortSignal;
  /** Time left when the call arrived, ms. */
  readonly budgetMs: number;
  readonly metadata: Metadata;
  /** Address of the caller, for logs. */
  readonly peer: string;
  /** Whether the caller is a controller of this data center. Absent = nobody can tell: take it for no. */
  readonly isController?: () => boolean;
  /** `traceparent` of this call's own span; absent where calls are not traced. */
  readonly traceparent?: string;
  readonly log: Logger;
}

/* eslint-disable @typescript-eslint/no-explicit-any -- a table of handlers holds all request and response types */

/** How one method of a service is answered: plain functions, testable without a socket. Throw a FractoryError to fail. */
export type MethodHandler<Q = any, R = any> =
  | {
      readonly kind: 'unary';
      readonly handle: (request: Q, context: CallContext) => Promise<R> | R;
      readonly isStanding?: boolean;
      /** Its request is bytes above all, such as a picture: `max_request_bytes` does not hold. */
      readonly isLarge?: boolean;
    }
  | {
      readonly kind: 'clientStream';
      readonly handle: (requests: AsyncIterable<Q>, context: CallContext) => Promise<R>;
    }
  | {
      readonly kind: 'serverStream';
      /** The kernel pulls the next message only when the last one was taken: back-pressure comes by itself. */
      readonly handle: (request: Q, context: CallContext) => AsyncIterable<R>;
      /** What it streams has a budget of its own: only the caller's deadline, not the node's limit, cuts it off. */
      readonly endsItself?: boolean;
      /** It goes on until somebody ends it: a node that leaves does not wait for it. */
      readonly isStanding?: boolean;
    }
  | {
      /** A message pipe: the handler owns the stream, which has no deadline. */
      readonly kind: 'pipe';
      readonly handle: (stream: ServerDuplexStream<Q, R>, context: CallContext) => void;
    };

export const unary = <Q, R>(
  handle: (request: Q, context: CallContext) => Promise<R> | R,
  options: { readonly isStanding?: boolean; readonly isLarge?: boolean } = {},
): MethodHandler<Q, R> => ({ kind: 'unary', handle, ...options });

export const clientStream = <Q, R>(
  handle: (requests: AsyncIterable<Q>, context: CallContext) => Promise<R>,
): MethodHandler<Q, R> => ({ kind: 'clientStream', handle });

export const serverStream = <Q, R>(
  handle: (request: Q, context: CallContext) => AsyncIterable<R>,
  options: { readonly endsItself?: boolean; readonly isStanding?: boolean } = {},
): MethodHandler<Q, R> => ({ kind: 'serverStream', handle, ...options });

export const pipe = <Q, R>(
  handle: (stream: ServerDuplexStream<Q, R>, context: CallContext) => void,
): MethodHandler<Q, R> => ({ kind: 'pipe', handle });

/** A gRPC service and its handlers, one per method of the definition. */
export interface TypedService {
  /** `XService` as ts-proto generates it: `StorageServiceService`. */
  readonly definition: ServiceDefinition;
  readonly handlers: Readonly<Record<string, MethodHandler>>;
}

type MethodNames<D> = Extract<keyof D, string>;

/** Puts a definition and its handlers together; a missing or misspelt method is a compile error. */
export function typedService<D extends ServiceDefinition>(
  definition: D,
  handlers: Readonly<Record<MethodNames<D>, MethodHandler>>,
): TypedService {
  return { definition, handlers };
}
