import { Metadata, status } from '@grpc/grpc-js';
import type { ClientUnaryCall, ServiceError } from '@grpc/grpc-js';

import type { Memory } from '../../protos/gen/fractory/v1/value.js';
import type { Capability } from '../../protos/gen/fractory/v1/capability.js';
import { BlockServiceClient } from '../../protos/gen/fractory/v1/block.js';
import type {
  BlockServiceAllocateResponse,
  BlockServiceListResponse,
  OpenRequest,
  OpenResponse,
} from '../../protos/gen/fractory/v1/block.js';
import { callDeadline } from '../../runtime/deadline.js';
import { FractoryError } from '../../runtime/errors.js';
import type { KnownExtent } from '../../services/storage/depot.js';
import type { Peers } from '../kernel/device.js';
import { settled } from '../kernel/memory/controller-calls.js';
import { deviceLost } from './device-failures.js';

/** The longest that one call of a block device may take, ms. */
const CALL_TIMEOUT_MS = 15_000;

type Answer<R> = (error: ServiceError | null, response: R) => void;

export interface OpenedExtents {
  readonly memory: Memory;
  readonly capability: Capability;
  readonly revoker: Capability | undefined;
}

/** The typed service of block devices, addressed by member: a device has what no other has. */
export class BlockCalls {
  readonly #peers: Peers;

  constructor(peers: Peers) {
    this.#peers = peers;
  }

  /** Returns the id of the extent. */
  async allocate(
    device: string,
    sizeBytes: number,
    label: string,
    signal: AbortSignal,
  ): Promise<string> {
    const request = { sizeBytes: BigInt(sizeBytes), label };
    const { extent } = await this.#call<BlockServiceAllocateResponse>(
      device,
      (client, options, done) => client.allocate(request, new Metadata(), options, done),
      signal,
    );
    if (!extent) throw incomplete(device);
    return extent.id;
  }

  async open(
    device: string,
    request: Omit<OpenRequest, 'extents'> & { readonly extents: readonly string[] },
    signal: AbortSignal,
  ): Promise<OpenedExtents> {
    const { memory, revoker } = await this.#call<OpenResponse>(
      device,
      (client, options, done) =>
        client.open({ ...request, extents: [...request.extents] }, new Metadata(), options, done),
      signal,
    );
    if (!memory?.capability) throw incomplete(device);
    return { memory, capability: memory.capability, revoker };
  }

  async sync(device: string, extents: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#call(
      device,
      (client, options, done) =>
        client.sync({ extents: [...extents] }, new Metadata(), options, done),
      signal,
    );
  }

  async free(device: string, extents: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#call(
      device,
      (client, options, done) =>
        client.free({ extents: [...extents] }, new Metadata(), options, done),
      signal,
    );
  }

  /** Extents whose label starts with `prefix`, page by page. */
  async *list(
    device: string,
    prefix: string,
    signal: AbortSignal,
  ): AsyncGenerator<readonly KnownExtent[], void> {
    for (let pageToken = ''; ;) {
      const request = { labelPrefix: prefix, pageToken };
      const page = await this.#call<BlockServiceListResponse>(
        device,
        (client, options, done) => client.list(request, new Metadata(), options, done),
        signal,
      );
      yield page.extents.map(({ extent, label }) => ({ id: extent?.id ?? '', label }));
      pageToken = page.nextPageToken;
      if (pageToken === '') return;
    }
  }

  async #call<R>(
    device: string,
    start: (
      client: BlockServiceClient,
      options: { readonly deadline: number },
      done: Answer<R>,
    ) => ClientUnaryCall,
    signal: AbortSignal,
  ): Promise<R> {
    try {
      return await this.#peers.call(
        { member: device },
        BlockServiceClient,
        (client, aborted) =>
          settled<R>(
            (done) => start(client, callDeadline(aborted, CALL_TIMEOUT_MS), done),
            aborted,
          ),
        signal,
      );
    } catch (error) {
      throw told(device, error);
    }
  }
}

/** Silence is told in the words of those who store files. The cause has those of gRPC. */
function told(device: string, error: unknown): unknown {
  if (!(error instanceof FractoryError)) return error;
  const isSilent = error.code === status.UNAVAILABLE || error.code === status.DEADLINE_EXCEEDED;
  if (!isSilent || error.reason === 'NODE_STOPPING') return error;
  const isGone = error.reason === 'OWNER_LOST';
  return deviceLost(device, isGone ? 'it is not registered' : 'it does not answer', error);
}

function incomplete(device: string): Error {
  return new Error(`the answer of ${device} is not complete`);
}
