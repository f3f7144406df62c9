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
import { RetryBudget } from '../../runtime/retry-budget.js';

/** How long a call looks for a member that answers, ms. */
const PATIENCE_MS = 10_000;
/** How old what is known of application nodes may be while a call is under way, ms. */
const NEWS_MS = 2000;
/** Addresses of application nodes that are kept at most. */
const MAX_ADDRESSES = 16;

export interface ApplicationCallOptions {
  readonly signal?: AbortSignal;
  /** How long it looks for a node that answers, ms; counted anew from each `heard`. Default 10,000. */
  readonly patienceMs?: number;
}

/** A generated gRPC client class. */
type ClientClass<C> = new (address: string, credentials: ChannelCredentials, options?: object) => C;

/** Calls typed services of the data center: finds the member that leads, follows when it changes. */
export class Connection {
  readonly #channels: ChannelPool;
  /** What this client sends again, all its calls together. */
  readonly #retries = new RetryBudget();
  /** Addresses of application nodes, the best guess at the leader first. */
  #applicationNodes: readonly string[];
  /** Calls of application nodes under way. */
  #calling = 0;
  #news: NodeJS.Timeout | undefined;
  /** The node that was asked last. */
  #latest: ApplicationServiceClient | undefined;

  constructor(applicationNodes: readonly string[], given: ClientCredentials) {
    this.#applicationNodes = applicationNodes;
    this.#channels = new ChannelPool({
      credentials: channelCredentials(given),
      interceptors: [authorization(given)],
    });
  }

  close(): void {
    clearTimeout(this.#news);
    this.#channels.close();
  }

  /** Calls the leading application node. `call` may call `heard` when a node has taken the call: patience begins anew. */
  application<T>(
    call: (client: ApplicationServiceClient, signal: AbortSignal, heard: () => void) => Promise<T>,
    options: ApplicationCallOptions = {},
  ): Promise<T> {
    const round = new Round(() => this.#applicationNodes);
    return this.#persist({ ...options, round }, async (signal, heard) => {
      const nodes = this.#applicationNodes;
      const address = round.next();
      if (address === undefined) throw unavailable('NO_MEMBER', 'no application node is known');
      const client = this.#channels.client(ApplicationServiceClient, address);
      const stopFollowing = this.#followNodes(client);
      try {
        return await call(client, signal, () => {
          round.begin(address);
          heard();
        });
      } catch (thrown) {
        if (!isTold(thrown)) throw thrown;
        const error = toFractoryError(thrown);
        const leader = leaderAddress(error);
        if (leader !== undefined)
          this.#applicationNodes = [leader, ...nodes.filter((node) => node !== leader)];
        throw error;
      } finally {
        stopFollowing();
      }
    });
  }

  /** While a call is under way nodes come and go, and begin anew at other addresses: whoever is lost next, the others are known. */
  #followNodes(client: ApplicationServiceClient): () => void {
    this.#calling++;
    this.#latest = client;
    this.#awaitNews();
    return () => {
      this.#calling--;
    };
  }

  #awaitNews(): void {
    this.#news ??= setTimeout(() => {
      this.#news = undefined;
      if (this.#calling === 0) return;
      const request = { type: 'application' };
      this.#latest?.listMembers(request, new Metadata(), callOptions(NEWS_MS), (error, answer) => {
        if (!error) this.#learn(answer.members);
      });
      this.#awaitNews();
    }, NEWS_MS).unref();
  }

  #learn(members: readonly Member[]): void {
    const leaderFirst = [...members].sort((a, b) => Number(b.leader) - Number(a.leader));
    const addresses = leaderFirst.map(({ address }) => address);
    const all = new Set([...addresses, ...this.#applicationNodes]);
    this.#applicationNodes = [...all].slice(0, MAX_ADDRESSES);
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
    const round = new Round(() => (address === undefined ? [] : [address]));
    return this.#persist({ round }, async (signal) => {
      address ??= await this.#leaderOf(type);
      round.next();
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

  /**
   * Repeats `attempt` while no member answers, the one that did doesn't lead, or has no room and says when it has some. Where another can be asked it is
   * asked at once; the pause comes when all have been.
   */
  async #persist<T>(
    { signal, patienceMs = PATIENCE_MS, round }: ApplicationCallOptions & { readonly round: Round },
    attempt: (signal: AbortSignal, heard: () => void) => Promise<T>,
  ): Promise<T> {
    let untilMs = performance.now() + patienceMs;
    this.#retries.deposit();
    const never = new AbortController().signal;
    for (let pauses = 0; ;) {
      try {
        return await attempt(signal ?? never, () => {
          untilMs = performance.now() + patienceMs;
          pauses = 0;
        });
      } catch (thrown) {
        if (!isTold(thrown)) throw thrown;
        const error = toFractoryError(thrown);
        if (!isPassing(error)) throw error;
        const leftMs = untilMs - performance.now();
        if (leftMs <= 0) throw isFull(error) ? error : gaveUp(error, patienceMs);
        const movesOn = !isFull(error) && !round.isOver;
        const askedMs = movesOn ? 0 : waitBefore(error, ++pauses);
        if (!movesOn) round.begin();
        await sleep(Math.max(askedMs, Math.min(this.#retries.withdraw(), leftMs / 2)), signal);
      }
    }
  }
}

/** Which addresses have been asked since the last pause. */
class Round {
  readonly #addresses: () => readonly string[];
  readonly #asked = new Set<string>();

  constructor(addresses: () => readonly string[]) {
    this.#addresses = addresses;
  }

  /** `asked`: who is asked now. */
  begin(asked?: string): void {
    this.#asked.clear();
    if (asked !== undefined) this.#asked.add(asked);
  }

  /** The first that was not asked yet, from now on asked; after all of them the first again. */
  next(): string | undefined {
    const addresses = this.#addresses();
    const address = addresses.find((one) => !this.#asked.has(one)) ?? addresses[0];
    if (address !== undefined) this.#asked.add(address);
    return address;
  }

  get isOver(): boolean {
    return this.#addresses().every((address) => this.#asked.has(address));
  }
}

/** A new leader serves within tens of milliseconds; so each pause is only half as long again as the one before. */
const BACKOFF = { initialMs: 10, maxMs: 1000, factor: 1.5 };

/** Whoever is full says when to come again: then, and later each time. */
function waitBefore(error: FractoryError, pauses: number): number {
  const { retryAfterMs = 0 } = isFull(error) ? error : {};
  return retryAfterMs + backoffMs(pauses, BACKOFF);
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

function gaveUp(error: FractoryError, patienceMs: number): FractoryError {
  const seconds = `${String(Math.round(patienceMs / 100) / 10)} s`;
  // grpc-js says much about its own insides and little about ours.
  const isGone = /No connection established|ECONNREFUSED/.test(error.message);
  // What has a reason of its own was said by a node, or found out here.
  const isAnswer = !isGone && error.reason !== status[error.code];
  const text = isAnswer
    ? `${error.message}; it was tried for ${seconds}`
    : `the data center did not answer for ${seconds}: ${isGone ? 'its address no longer answers' : error.message}`;
  return unavailable(error.reason, `${text}; ./datacenter status tells how it is`, {
    cause: error,
  });
}

function isPassing(error: FractoryError): boolean {
  const leadsNoMore = error.reason === 'NOT_LEADER' || error.reason === 'FENCED';
  return leadsNoMore || isFull(error) || error.code === status.UNAVAILABLE;
}

/** Refused for want of room, and there will be some. */
function isFull({ code, retryAfterMs }: FractoryError): boolean {
  return code === status.RESOURCE_EXHAUSTED && retryAfterMs !== undefined;
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
