import type {
  CallOptions,
  ChannelCredentials,
  ClientOptions,
  ClientUnaryCall,
  Metadata,
  ServiceError,
} from '@grpc/grpc-js';

import type { SecurityConfig } from '../config/node-config.js';
import { toFractoryError } from '../protos/status.js';
import { ChannelPool } from '../runtime/channels.js';
import { cancelled } from '../runtime/errors.js';
import { channelCredentialsOf, metadataOf } from './client-credentials.js';

interface Closable {
  close(): void;
}

/** A generated client class. */
type ClientClass<C extends Closable> = new (
  address: string,
  credentials: ChannelCredentials,
  options?: Partial<ClientOptions>,
) => C;

export interface NodeCallOptions {
  readonly timeoutMs: number;
  /** Cancels the call. */
  readonly signal?: AbortSignal;
}

/** What a unary call of a generated client needs behind its request. */
export interface CallParts<R> {
  readonly metadata: Metadata;
  readonly options: Partial<CallOptions>;
  readonly done: (error: ServiceError | null, response: R) => void;
}

/** The launcher's own calls of typed services. Owns its connections: dispose it. */
export class NodeCalls implements Disposable {
  readonly #channels: ChannelPool;
  readonly #security: SecurityConfig;

  constructor(security: SecurityConfig) {
    this.#security = security;
    this.#channels = new ChannelPool({ credentials: channelCredentialsOf(security) });
  }

  /** Calls a unary method. What the call ends with is thrown as a FractoryError; after an abort that is CANCELLED. */
  unary<C extends Closable, R>(
    service: ClientClass<C>,
    address: string,
    start: (client: C, parts: CallParts<R>) => ClientUnaryCall,
    { timeoutMs, signal }: NodeCallOptions,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(cancelled());
        return;
      }
      const cancel = (): void => {
        call.cancel();
      };
      const call = start(this.#channels.client(service, address), {
        metadata: metadataOf(this.#security),
        options: { deadline: Date.now() + timeoutMs },
        done: (error, response) => {
          signal?.removeEventListener('abort', cancel);
          if (error) reject(toFractoryError(error));
          else resolve(response);
        },
      });
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  [Symbol.dispose](): void {
    this.#channels.close();
  }
}
