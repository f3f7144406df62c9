import { Metadata } from '@grpc/grpc-js';

import type { Capability } from '../../../protos/gen/fractory/v1/capability.js';
import { ControllerServiceClient } from '../../../protos/gen/fractory/v1/controller.js';
import type {
  CopyResponse,
  ReadRequest,
  TransferEnd,
} from '../../../protos/gen/fractory/v1/controller.js';
import type { ChannelPool } from '../../../runtime/channels.js';
import { callDeadline, withDeadline } from '../../../runtime/deadline.js';
import type { Member } from '../../../zookeeper/coordinator.js';
import { denied } from '../capabilities/caveats.js';
import type { Directory, MemberKey } from '../directory.js';
import type { CopyOptions } from './access.js';
import type { BulkPool } from './bulk/bulk-pool.js';
import { settled, upload, whole } from './controller-calls.js';
import type { ChunkSink, RemoteMemories } from './remote-memories.js';

/** How long another controller may take for what is done at once, ms. */
const SHORT_CALL_MS = 5000;

export interface PeerMemoriesOptions {
  readonly directory: Directory;
  readonly channels: ChannelPool;
  readonly bulk: BulkPool;
  /** Longest that a transfer may take, ms. */
  readonly maxTransferMs: number;
}

/** Memories of the members of this data center: bytes are read over the bulk data path, the rest are calls. */
export class PeerMemories implements RemoteMemories {
  readonly #options: PeerMemoriesOptions;
  readonly #unsubscribe: () => void;

  constructor(options: PeerMemoriesOptions) {
    this.#options = options;
    const { directory, bulk } = options;
    this.#unsubscribe = directory.subscribe(() => {
      bulk.retain(new Set(directory.reachable().map(keyOf)));
    });
  }

  async read(request: ReadRequest, sink: ChunkSink, signal: AbortSignal): Promise<TransferEnd> {
    const member = await this.#ownerOf(request.capability, signal);
    return this.#options.bulk.read(member, request, sink, signal);
  }

  async copy(
    source: Capability,
    destination: Capability,
    { sha256 = false, signal }: CopyOptions,
  ): Promise<TransferEnd> {
    const { client, deadline } = await this.#callTo(destination, signal);
    const request = { source, destination, sha256 };
    const { end } = await settled<CopyResponse>(
      (done) => client.copy(request, new Metadata(), { deadline }, done),
      signal,
    );
    return whole(end);
  }

  async write(
    destination: Capability,
    offset: number,
    chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    signal: AbortSignal,
  ): Promise<TransferEnd> {
    const { client, deadline } = await this.#callTo(destination, signal);
    const { end } = await upload(
      { client, deadline, signal },
      { capability: destination, offset },
      chunks,
    );
    return whole(end);
  }

  async revoke(revoker: Capability, signal: AbortSignal): Promise<void> {
    const member = await this.#find(revoker, signal);
    // With its life at the owner everything has ended that could be revoked.
    if (!member) return;
    const client = this.#options.channels.client(ControllerServiceClient, member.address);
    const options = callDeadline(signal, SHORT_CALL_MS);
    const request = { capability: revoker };
    await settled((done) => client.revoke(request, new Metadata(), options, done), signal);
  }

  /** Fails what is under way; resolves when no connection is left. Idempotent. */
  async close(): Promise<void> {
    this.#unsubscribe();
    await this.#options.bulk.close();
  }

  async #callTo(
    capability: Capability,
    signal: AbortSignal,
  ): Promise<{ client: ControllerServiceClient; deadline: number }> {
    const member = await this.#ownerOf(capability, signal);
    const client = this.#options.channels.client(ControllerServiceClient, member.address);
    return { client, ...callDeadline(signal, this.#options.maxTransferMs) };
  }

  async #ownerOf(capability: Capability | undefined, signal: AbortSignal): Promise<Member> {
    if (!capability) throw denied('the memory comes without a capability');
    const member = await this.#find(capability, signal);
    if (!member) throw this.#options.directory.whyGone(lifeOf(capability));
    return member;
  }

  /** Waits a moment for news of a member that is not known yet, but not of an earlier life of one that is. */
  async #find(capability: Capability, signal: AbortSignal): Promise<Member | undefined> {
    const { directory } = this.#options;
    const key = lifeOf(capability);
    const known = directory.find(key);
    if (known || directory.laterLife(key)) return known;
    const text = `news of ${capability.owner}`;
    return withDeadline(SHORT_CALL_MS, text, () => directory.findSoon(key), signal);
  }
}

const keyOf = ({ id, epoch }: MemberKey): string => `${id}@${String(epoch)}`;

const lifeOf = ({ owner, epoch }: Capability): MemberKey => ({ id: owner, epoch });
