import type { ReadRequest, TransferEnd } from '../../../../protos/gen/fractory/v1/controller.js';
import { toFractoryError } from '../../../../protos/status.js';
import { unavailable } from '../../../../runtime/errors.js';
import type { FractoryError } from '../../../../runtime/errors.js';
import type { MemberKey } from '../../directory.js';
import type { ChunkSink } from '../remote-memories.js';
import { BulkConnection } from './bulk-connection.js';
import type { BulkClientOptions, BulkPeer } from './bulk-connection.js';

/** Transfers from one peer at a time; others wait. */
const MAX_PER_PEER = 8;

export interface BulkPoolOptions extends BulkClientOptions {
  /** Transfers from one peer at a time. Default 8. */
  readonly maxPerPeer?: number;
}

interface Lease {
  readonly connection: BulkConnection;
  /** It has served before. */
  readonly reused: boolean;
}

interface Waiter {
  readonly take: (lease: Lease) => void;
  readonly fail: (error: FractoryError) => void;
}

interface PeerConnections {
  readonly peer: BulkPeer;
  readonly all: Set<BulkConnection>;
  readonly idle: BulkConnection[];
  readonly waiters: Set<Waiter>;
}

const keyOf = ({ id, epoch }: MemberKey): string => `${id}@${String(epoch)}`;

/** Connections to the other controllers' memories: kept for the next transfer, and bounded for each peer. */
export class BulkPool {
  readonly #options: BulkPoolOptions;
  readonly #peers = new Map<string, PeerConnections>();
  #closed = false;

  constructor(options: BulkPoolOptions) {
    this.#options = options;
  }

  get connections(): number {
    return this.#sum(({ all }) => all.size);
  }

  /** Transfers that wait for a connection. */
  get waiting(): number {
    return this.#sum(({ waiters }) => waiters.size);
  }

  async read(
    peer: BulkPeer,
    request: ReadRequest,
    sink: ChunkSink,
    signal: AbortSignal,
  ): Promise<TransferEnd> {
    while (true) {
      const { connection, reused } = await this.#acquire(peer, signal);
      try {
        return await connection.read(request, sink, signal);
      } catch (error) {
        // The other end may have closed it just when it was taken.
        if (!reused || !connection.brokeUnanswered || signal.aborted || this.#closed) throw error;
      } finally {
        this.#release(peer, connection);
      }
    }
  }

  /** Ends the connections to all members but these lives. */
  retain(present: ReadonlySet<string>): void {
    for (const [key, connections] of [...this.#peers])
      if (!present.has(key)) end(connections, lost(connections.peer));
  }

  /** Ends all connections; resolves when there are none. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#peers.values()];
    for (const connections of all) end(connections, stopping());
    await Promise.all(all.flatMap((peer) => [...peer.all]).map((connection) => connection.closed));
  }

  #acquire(peer: BulkPeer, signal: AbortSignal): Promise<Lease> | Lease {
    if (this.#closed) throw stopping();
    if (signal.aborted) throw toFractoryError(signal.reason);
    const connections = this.#of(peer);
    const idle = takeOpen(connections.idle);
    if (idle) return { connection: idle, reused: true };
    if (connections.all.size < (this.#options.maxPerPeer ?? MAX_PER_PEER))
      return { connection: this.#dial(connections), reused: false };
    return waitFor(connections.waiters, signal);
  }

  #release(peer: BulkPeer, connection: BulkConnection): void {
    const connections = this.#peers.get(keyOf(peer));
    if (!connections || !connection.isOpen) return;
    const waiter = nextOf(connections.waiters);
    if (waiter) waiter.take({ connection, reused: true });
    else connections.idle.push(connection);
  }

  #dial(connections: PeerConnections): BulkConnection {
    const connection: BulkConnection = new BulkConnection(connections.peer, this.#options, () => {
      this.#forget(connections, connection);
    });
    connections.all.add(connection);
    return connection;
  }

  /** Whoever waits gets another in the place of one that broke. */
  #forget(connections: PeerConnections, connection: BulkConnection): void {
    connections.all.delete(connection);
    const at = connections.idle.indexOf(connection);
    if (at >= 0) connections.idle.splice(at, 1);
    const waiter = this.#closed ? undefined : nextOf(connections.waiters);
    if (waiter) waiter.take({ connection: this.#dial(connections), reused: false });
    if (connections.all.size === 0) this.#peers.delete(keyOf(connections.peer));
  }

  #of(peer: BulkPeer): PeerConnections {
    const key = keyOf(peer);
    const known = this.#peers.get(key);
    if (known) return known;
    const connections: PeerConnections = {
      ...{ peer, all: new Set<BulkConnection>(), idle: [], waiters: new Set<Waiter>() },
    };
    this.#peers.set(key, connections);
    return connections;
  }

  #sum(count: (connections: PeerConnections) => number): number {
    let sum = 0;
    for (const connections of this.#peers.values()) sum += count(connections);
    return sum;
  }
}

function end({ all, waiters }: PeerConnections, cause: FractoryError): void {
  for (const waiter of [...waiters]) waiter.fail(cause);
  for (const connection of [...all]) connection.destroy(cause);
}

function takeOpen(idle: BulkConnection[]): BulkConnection | undefined {
  for (let connection = idle.pop(); connection; connection = idle.pop())
    if (connection.isOpen) return connection;
  return undefined;
}

function nextOf(waiters: Set<Waiter>): Waiter | undefined {
  const [first] = waiters;
  return first;
}

function waitFor(waiters: Set<Waiter>, signal: AbortSignal): Promise<Lease> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      waiters.delete(waiter);
      signal.removeEventListener('abort', onAbort);
    };
    const waiter: Waiter = {
      take: (lease) => {
        leave();
        resolve(lease);
      },
      fail: (error) => {
        leave();
        reject(error);
      },
    };
    const onAbort = (): void => {
      waiter.fail(toFractoryError(signal.reason));
    };
    signal.addEventListener('abort', onAbort);
    waiters.add(waiter);
  });
}

function lost({ id, epoch }: MemberKey): FractoryError {
  return unavailable('OWNER_LOST', `${id} (epoch ${String(epoch)}) has left the data center`, {
    metadata: { owner: id, epoch: String(epoch) },
  });
}

function stopping(): FractoryError {
  return unavailable('NODE_STOPPING', 'the node is stopping');
}
