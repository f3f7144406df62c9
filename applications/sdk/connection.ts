import { readFileSync } from 'node:fs';

import { credentials, InterceptingCall, Metadata, status } from '@grpc/grpc-js';
import type { ChannelCredentials, Interceptor } from '@grpc/grpc-js';

import type { Member } from '../../protos/gen/fractory/v1/application.js';
import { ApplicationServiceClient } from '../../protos/gen/fractory/v1/application.js';
import { isTold, toFractoryError } from '../../protos/status.js';
import type { ClientCredentials } from '../../runtime/arguments.js';
import { backoffMs } from '../../runtime/backoff.js';
import { ChannelPool } from '../../runtime/channels.js';
import { sleep } from '../../runtime/deadline.js';
import { unavailable } from '../../runtime/errors.js';
import type { FractoryError } from '../../runtime/errors.js';

/** How long a call looks for a member that answers, ms. */
const PATIENCE_MS = 10_000;

/** A generated gRPC client class. */
type ClientClass<C> = new (address: string, credentials: ChannelCredentials, options?: object) => C;

/** Calls typed services of the data center: finds the member that leads, follows when it changes. */
export class Connection {
  readonly #channels: ChannelPool;
  /** Addresses of application nodes, the best guess at the leader first. */
  #applicationNodes: readonly string[];

  constructor(applicationNodes: readonly string[], given: ClientCredentials) {
    this.#applicationNodes = applicationNodes;
    this.#channels = new ChannelPool({
      credentials: channelCredentials(given),
      interceptors: [authorization(given)],
    });
  }

  close(): void {
    this.#channels.close();
  }

  /** Calls the leading application node. */
  application<T>(
    call: (client: ApplicationServiceClient, signal: AbortSignal) => Promise<T>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    let turn = 0;
    return this.#persist(options.signal, async (signal) => {
      const nodes = this.#applicationNodes;
      const address = nodes[turn++ % Math.max(1, nodes.length)];
      if (address === undefined) throw unavailable('NO_MEMBER', 'no application node is known');
      try {
        return await call(this.#channels.client(ApplicationServiceClient, address), signal);
      } catch (thrown) {
        if (!isTold(thrown)) throw thrown;
        const error = toFractoryError(thrown);
        const leader = leaderAddress(error);
        if (leader !== undefined) {
          this.#applicationNodes = [leader, ...nodes.filter((node) => node !== leader)];
          turn = 0;
        }
        throw error;
      }
    });
  }

  /** Members of a type, or of all. */
  async members(type = ''): Promise<Member[]> {
    const response = await this.application((client, signal) =>
      unaryCall<{ members: Member[] }>(signal, (metadata, done) =>
        client.listMembers({ type }, metadata, callOptions(), done),
      ),
    );
    return response.members;
  }

  /** Calls the leading member of a type, or any where there is no leader to tell. */
  leader<C extends { close(): void }, T>(
    type: string,
    client: ClientClass<C>,
    call: (client: C, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    let address: string | undefined;
    return this.#persist(undefined, async (signal) => {
      address ??= await this.#leaderOf(type);
      try {
        return await call(this.#channels.client(client, address), signal);
      } catch (thrown) {
        if (!isTold(thrown)) throw thrown;
        const error = toFractoryError(thrown);
        address = leaderAddress(error);
        throw error;
      }
    });
  }

  async #leaderOf(type: string): Promise<string> {
    const members = await this.members(type);
    const leader = members.find((member) => member.leader) ?? members[0];
    if (leader) return leader.address;
    throw unavailable('NO_MEMBER', `no ${type} node is registered; ./datacenter status lists them`);
  }

  /** Repeats `attempt` while no member answers or the one that did doesn't lead. */
  async #persist<T>(
    signal: AbortSignal | undefined,
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const untilMs = performance.now() + PATIENCE_MS;
    const never = new AbortController().signal;
    for (let attempts = 1; ; attempts++) {
      try {
        return await attempt(signal ?? never);
      } catch (thrown) {
        if (!isTold(thrown)) throw thrown;
        const error = toFractoryError(thrown);
        if (!isPassing(error)) throw error;
        if (performance.now() >= untilMs) throw gaveUp(error);
        await sleep(backoffMs(attempts), signal);
      }
    }
  }
}

/** Deadline of one unary call, ms. */
const CALL_TIMEOUT_MS = 10_000;

/** Options of a unary call: always a deadline. */
export function callOptions(timeoutMs = CALL_TIMEOUT_MS): { deadline: number } {
  return { deadline: Date.now() + timeoutMs };
}

/** A unary call as a promise that ends with `signal`. */
export function unaryCall<R>(
  signal: AbortSignal,
  start: (
    metadata: Metadata,
    done: (error: Error | null, response: R) => void,
  ) => { cancel(): void },
): Promise<R> {
  return new Promise((resolve, reject) => {
    const call = start(new Metadata(), (error, response) => {
      signal.removeEventListener('abort', cancel);
      if (error) reject(toFractoryError(error));
      else resolve(response);
    });
    const cancel = (): void => {
      call.cancel();
    };
    signal.addEventListener('abort', cancel, { once: true });
  });
}

function gaveUp(error: FractoryError): FractoryError {
  // grpc-js says much about its own insides and little about ours.
  const reached = /No connection established|ECONNREFUSED/.test(error.message);
  const why = reached ? 'its address no longer answers' : error.message;
  return unavailable(
    error.reason,
    `the data center did not answer for ${String(PATIENCE_MS / 1000)} s: ${why}; ./datacenter status tells how it is`,
    { cause: error },
  );
}

function isPassing(error: FractoryError): boolean {
  return error.reason === 'NOT_LEADER' || error.code === status.UNAVAILABLE;
}

function leaderAddress(error: FractoryError): string | undefined {
  return error.reason === 'NOT_LEADER' ? error.metadata['address'] : undefined;
}

function channelCredentials(given: ClientCredentials): ChannelCredentials {
  if (given.mode !== 'mtls') return credentials.createInsecure();
  return credentials.createSsl(
    readFileSync(given.caPath),
    readFileSync(given.keyPath),
    readFileSync(given.certificatePath),
  );
}

function authorization(given: ClientCredentials): Interceptor {
  return (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start: (metadata, listener, next) => {
        if (given.mode === 'token') metadata.set('authorization', `Bearer ${given.token}`);
        next(metadata, listener);
      },
    });
}
