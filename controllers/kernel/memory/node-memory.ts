import type { Metadata } from '@grpc/grpc-js';

import type { Limits } from '../../../config/limits.js';
import type { ChannelPool } from '../../../runtime/channels.js';
import type { Clock } from '../../../runtime/clock.js';
import type { Logger } from '../../../runtime/logger.js';
import type { MethodHandler } from '../calls.js';
import type { Directory } from '../directory.js';
import type { KernelMetrics } from '../metrics.js';
import type { Certificates } from '../security.js';
import { BulkPool } from './bulk/bulk-pool.js';
import { BulkServer } from './bulk/bulk-server.js';
import { memoryHandlers } from './handlers.js';
import type { MemoryMethod } from './handlers.js';
import { Memories } from './memories.js';
import { OwnMemories } from './own-memories.js';
import type { MemoryObjects } from './own-memories.js';
import { PeerMemories } from './peer-memories.js';

/** How a node shows other controllers who it is, and whom it counts callers as. */
export interface MemorySecurity {
  readonly bulkKey: Uint8Array;
  certificates(): Certificates | undefined;
  clientOf(metadata: Metadata, peer: string): string;
}

export interface NodeMemoryOptions {
  readonly dataCenter: string;
  readonly member: string;
  readonly objects: MemoryObjects;
  readonly directory: Directory;
  readonly channels: ChannelPool;
  readonly security: MemorySecurity;
  readonly limits: Limits;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: KernelMetrics;
}

/** All that a node has to do with memories, put together: its own, others', and the data path between them. */
export class NodeMemory implements AsyncDisposable {
  readonly access: Memories;
  readonly own: OwnMemories;
  readonly handlers: Record<MemoryMethod, MethodHandler>;
  readonly #peers: PeerMemories;
  readonly #server: BulkServer;
  readonly #pool: BulkPool;

  constructor(options: NodeMemoryOptions) {
    const { dataCenter, member, objects, directory, channels, limits, clock, log } = options;
    const { security, metrics } = options;
    this.own = new OwnMemories({
      ...{ objects, limits, clock, log },
      onChange: (count, bytes) => {
        metrics.memories.set(count);
        metrics.memoryBytes.set(bytes);
      },
    });
    const both = {
      greeting: () => ({
        key: security.bulkKey,
        hello: { dataCenter, member, epoch: objects.epoch },
      }),
      certificates: security.certificates(),
      ...{ stallMs: limits.transfer_stall_ms, log, wire: metrics.wire.of },
    };
    this.#server = new BulkServer({ ...both, own: this.own });
    this.#pool = new BulkPool(both);
    this.#peers = new PeerMemories({
      ...{ directory, channels, bulk: this.#pool, maxTransferMs: limits.max_budget_ms },
    });
    this.access = new Memories({ member, objects, own: this.own, remote: this.#peers });
    this.handlers = memoryHandlers({
      ...{ member, own: this.own, memories: this.access, limits, clock },
      clientOf: ({ metadata, peer }) => security.clientOf(metadata, peer),
    });
  }

  /** Connections of the data path: those that others opened, those of this node, and transfers that wait for one. */
  get connections(): {
    readonly served: number;
    readonly dialled: number;
    readonly waiting: number;
  } {
    const { connections: dialled, waiting } = this.#pool;
    return { served: this.#server.connections, dialled, waiting };
  }

  /** Serves the data path on a free port; resolves with host:port. */
  start(ip: string): Promise<string> {
    return this.#server.start(ip);
  }

  /** Cuts all transfers and frees all memories. Idempotent. */
  async stop(): Promise<void> {
    await this.#peers.close();
    await this.#server.stop();
    await this.own.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}
