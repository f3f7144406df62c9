import type { AddressInfo, Server, Socket } from 'node:net';

import { bracketed } from '../../server.js';
import { ChunkBuffers } from './chunk-buffers.js';
import { CHUNK_BYTES, ServedConnection } from './served-connection.js';
import type { ServedOptions } from './served-connection.js';
import { bulkServer } from './transport.js';
import type { BulkCertificates } from './transport.js';

/** Connections of all other controllers together. */
const MAX_CONNECTIONS = 4096;
/** Connections that have not said yet who they are: one more, and the oldest of them is closed. */
const MAX_STRANGERS = 256;

export interface BulkServerOptions extends Omit<ServedOptions, 'buffers' | 'onGreeted'> {
  /** In mtls mode. */
  readonly certificates?: BulkCertificates | undefined;
}

/** Serves this node's memories to other controllers. */
export class BulkServer implements AsyncDisposable {
  readonly #options: BulkServerOptions;
  readonly #connections = new Set<ServedConnection>();
  readonly #buffers = new ChunkBuffers(CHUNK_BYTES);
  /** In the order in which they came. */
  readonly #strangers = new Set<Socket>();
  /** Those too that have not shown a certificate yet. */
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;

  constructor(options: BulkServerOptions) {
    this.#options = options;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Binds to a free port; resolves with host:port. */
  async start(ip: string): Promise<string> {
    const server = bulkServer(this.#options.certificates, (socket) => {
      this.#accept(socket);
    });
    server.maxConnections = MAX_CONNECTIONS;
    server.on('tlsClientError', (error: Error) => {
      this.#options.log.warn({ cause: error.message }, 'a bulk connection without a certificate');
    });
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, ip, () => {
        server.off('error', reject);
        resolve();
      });
    });
    server.on('error', (error) => {
      this.#options.log.error({ err: error }, 'the bulk server can not accept');
    });
    this.#server = server;
    return bracketed(ip, (server.address() as AddressInfo).port);
  }

  /** Refuses new connections and cuts those that there are. Idempotent. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    const closed =
      server &&
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all([...this.#connections].map((connection) => connection.destroy()));
    await closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #accept(socket: Socket): void {
    const connection = new ServedConnection(socket, {
      ...this.#options,
      buffers: this.#buffers,
      onGreeted: () => this.#strangers.delete(socket),
    });
    this.#connections.add(connection);
    this.#strangers.add(socket);
    socket.on('close', () => {
      this.#connections.delete(connection);
      this.#strangers.delete(socket);
    });
    const [oldest] = this.#strangers;
    if (oldest && this.#strangers.size > MAX_STRANGERS) {
      this.#strangers.delete(oldest);
      oldest.destroy();
    }
  }
}
