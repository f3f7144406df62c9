import type { ClientReadableStream } from '@grpc/grpc-js';

import {
  ApplicationServiceClient,
  RunState,
  Topology,
} from '../../protos/gen/fractory/v1/application.js';
import type {
  ApplicationServiceWatchResponse,
  ListMembersResponse,
  RunEnded,
  RunResponse,
} from '../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import { StorageServiceClient } from '../../protos/gen/fractory/v1/storage.js';
import type {
  PutResponse,
  StorageServiceGetResponse,
  StorageServiceListResponse,
  StoredFile,
} from '../../protos/gen/fractory/v1/storage.js';
import { toFractoryError } from '../../protos/status.js';
import type { SecurityConfig } from '../../config/node-config.js';
import { ChannelPool } from '../../runtime/channels.js';
import { cancelled, unavailable } from '../../runtime/errors.js';
import { channelCredentialsOf, metadataOf } from '../client-credentials.js';

/** What is asked of an application node. */
export interface RunAsked {
  readonly run: string;
  readonly graph: Graph;
  readonly durable: boolean;
  readonly budgetMs: number;
}

/** A file with its content. */
export interface ReadFile {
  readonly file: StoredFile;
  readonly content: Buffer;
}

/** The calls that experiments make. Every one takes an address and a deadline, and throws a FractoryError. Owns its connections. */
export interface ChaosCalls {
  /** Sends a run (or attaches to it) and reads its events to its end. */
  run(address: string, asked: RunAsked, timeoutMs: number, signal: AbortSignal): Promise<RunEnded>;
  /** How a run ended, asked by its id; waits for the end. NOT_FOUND where nobody remembers it. */
  watch(address: string, run: string, timeoutMs: number): Promise<RunEnded>;
  /** Member ids and epochs as an application node sees them. */
  members(address: string, timeoutMs: number): Promise<readonly { id: string; epoch: bigint }[]>;
  put(address: string, file: FileName, content: Buffer, timeoutMs: number): Promise<void>;
  get(address: string, file: FileName, timeoutMs: number): Promise<ReadFile>;
  delete(address: string, file: FileName, timeoutMs: number): Promise<void>;
  /** The first of the files of a client whose names have a prefix. */
  list(address: string, client: string, prefix: string, timeoutMs: number): Promise<StoredFile[]>;
  /** Closes the connections to all other addresses. */
  retain(addresses: ReadonlySet<string>): void;
}

export interface FileName {
  readonly client: string;
  readonly name: string;
}

export class GrpcChaosCalls implements ChaosCalls, Disposable {
  readonly #channels: ChannelPool;
  readonly #security: SecurityConfig;

  constructor(security: SecurityConfig) {
    this.#security = security;
    this.#channels = new ChannelPool({ credentials: channelCredentialsOf(security) });
  }

  run(
    address: string,
    { run, graph, durable, budgetMs }: RunAsked,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<RunEnded> {
    const client = this.#channels.client(ApplicationServiceClient, address);
    if (signal.aborted) return Promise.reject(cancelled());
    const request = { run, graph, topology: Topology.RING, budgetMs, durable };
    const stream = client.run(request, metadataOf(this.#security), within(timeoutMs));
    const cancel = (): void => {
      stream.cancel();
    };
    signal.addEventListener('abort', cancel, { once: true });
    return endOf(stream, run).finally(() => {
      signal.removeEventListener('abort', cancel);
    });
  }

  watch(address: string, run: string, timeoutMs: number): Promise<RunEnded> {
    const client = this.#channels.client(ApplicationServiceClient, address);
    return endOf(client.watch({ run }, metadataOf(this.#security), within(timeoutMs)), run);
  }

  async members(
    address: string,
    timeoutMs: number,
  ): Promise<readonly { id: string; epoch: bigint }[]> {
    const client = this.#channels.client(ApplicationServiceClient, address);
    const { members } = await unary<ListMembersResponse>((done) =>
      client.listMembers({ type: '' }, metadataOf(this.#security), within(timeoutMs), done),
    );
    return members;
  }

  async put(address: string, file: FileName, content: Buffer, timeoutMs: number): Promise<void> {
    const client = this.#channels.client(StorageServiceClient, address);
    await unary<PutResponse>((done) => {
      const call = client.put(metadataOf(this.#security), within(timeoutMs), done);
      const header = { ...file, mediaType: '', sha256: '' };
      call.write({ part: { $case: 'header', value: header } });
      call.write({ part: { $case: 'chunk', value: content } });
      call.end();
    });
  }

  async get(address: string, file: FileName, timeoutMs: number): Promise<ReadFile> {
    const client = this.#channels.client(StorageServiceClient, address);
    const call = client.get(file, metadataOf(this.#security), within(timeoutMs));
    const chunks: Uint8Array[] = [];
    let stored: StoredFile | undefined;
    try {
      for await (const { part } of call as AsyncIterable<StorageServiceGetResponse>)
        if (part?.$case === 'chunk') chunks.push(part.value);
        else if (part) stored = part.value;
    } catch (error) {
      throw toFractoryError(error);
    }
    if (stored) return { file: stored, content: Buffer.concat(chunks) };
    throw unavailable('NO_CONTENT', `the answer for ${file.client}/${file.name} was empty`);
  }

  async delete(address: string, file: FileName, timeoutMs: number): Promise<void> {
    const client = this.#channels.client(StorageServiceClient, address);
    await unary<object>((done) =>
      client.delete({ ...file }, metadataOf(this.#security), within(timeoutMs), done),
    );
  }

  async list(
    address: string,
    client: string,
    prefix: string,
    timeoutMs: number,
  ): Promise<StoredFile[]> {
    const storage = this.#channels.client(StorageServiceClient, address);
    const request = { client, prefix, pageSize: 0, pageToken: '' };
    const { files } = await unary<StorageServiceListResponse>((done) =>
      storage.list(request, metadataOf(this.#security), within(timeoutMs), done),
    );
    return files;
  }

  retain(addresses: ReadonlySet<string>): void {
    this.#channels.retain(addresses);
  }

  [Symbol.dispose](): void {
    this.#channels.close();
  }
}

/** Whether a run ended as it was asked to. */
export function hasSucceeded({ state }: RunEnded): boolean {
  return state === RunState.SUCCEEDED;
}

/** Reads the events of a run to its end. */
function endOf(
  stream: ClientReadableStream<RunResponse | ApplicationServiceWatchResponse>,
  run: string,
): Promise<RunEnded> {
  return new Promise((resolve, reject) => {
    stream.on('data', ({ event }: RunResponse | ApplicationServiceWatchResponse) => {
      if (event?.event?.$case === 'ended') resolve(event.event.value);
    });
    stream.on('end', () => {
      reject(unavailable('RUN_UNFINISHED', `the stream of run ${run} ended before the run`));
    });
    stream.on('error', (error) => {
      reject(toFractoryError(error));
    });
  });
}

function unary<R>(start: (done: (error: Error | null, response: R) => void) => void): Promise<R> {
  return new Promise((resolve, reject) => {
    start((error, response) => {
      if (error) reject(toFractoryError(error));
      else resolve(response);
    });
  });
}

function within(timeoutMs: number): { deadline: number } {
  return { deadline: Date.now() + timeoutMs };
}
