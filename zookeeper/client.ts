import type { Socket } from 'node:net';

import { createClient } from 'node-zookeeper-client';
import type { Client } from 'node-zookeeper-client';

import { backoffMs } from '../runtime/backoff.js';
import type { Clock } from '../runtime/clock.js';
import { toZooKeeperError, ZooKeeperError } from './zookeeper-error.js';

/** What happens to the connection of one client. `expired`: the server ended the session; the client is of no further use. */
export type ClientEvent = 'connected' | 'disconnected' | 'expired';

export interface ClientOptions {
  /** `host:port,host:port,...` */
  readonly connect: string;
  readonly sessionTimeoutMs: number;
  /** `user:password` of digest authentication; none if undefined. */
  readonly digest: string | undefined;
  readonly clock: Clock;
  readonly onEvent: (event: ClientEvent) => void;
  /** A session that another client has opened; default: a new one. */
  readonly session?: { readonly id: Buffer; readonly password: Buffer };
}

interface Server {
  readonly host: string;
  readonly port: string | number;
}

/** Private parts of the library's connection that this file mends. */
interface LibraryConnection {
  socket?: Socket;
  readonly servers: readonly Server[];
  pendingBuffer: Buffer | null;
  readonly packetQueue: { shift(): unknown };
  connectTimeoutHandler: NodeJS.Timeout | null;
  xid: number;
  findNextServer: (callback: (server: Server) => void) => void;
  onSocketData: (data: Buffer) => void;
}

const RECONNECT = { initialMs: 10, maxMs: 250 };

type Reply<T> = (error: unknown, result: T) => void;

/**
 * One client of the library, good for one session, with these seams mended: reconnects at a bounded rate, a deadline on the
 * handshake, nothing left over from a broken connection, a reply that the library can't read breaks the connection
 * instead of the process, every operation settles by its deadline, and dispose leaves nothing behind.
 */
export class ZooKeeperClient {
  readonly #options: ClientOptions;
  readonly #library: Client;
  readonly #connection: LibraryConnection;
  readonly #pending = new Set<(error: ZooKeeperError) => void>();
  #connected = false;
  /** Set = it doesn't connect again until it is let go; then this goes on with what waited. */
  #held: (() => void) | undefined;
  #disposed = false;
  /** Attempts since the last connection. */
  #attempts = 0;
  #nextServer = 0;
  #cancelAttempt: () => void = () => undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#library = createClient(options.connect, {
      sessionTimeout: options.sessionTimeoutMs,
      ...(options.session && {
        sessionId: options.session.id,
        sessionPassword: options.session.password,
      }),
    });
    this.#connection = (
      this.#library as unknown as { connectionManager: LibraryConnection }
    ).connectionManager;
    this.#mend();
    if (options.digest !== undefined)
      this.#library.addAuthInfo('digest', Buffer.from(options.digest));
    this.#library.on('connected', () => {
      this.#onConnected();
    });
    this.#library.on('disconnected', () => {
      this.#onDisconnected();
    });
    this.#library.on('expired', () => {
      this.#emit('expired');
    });
    this.#library.on('authenticationFailed', () => {
      this.#emit('expired');
    });
  }

  connect(): void {
    this.#library.connect();
  }

  /** Id of the session; meaningful once connected. */
  get sessionId(): bigint {
    return this.#library.getSessionId().readBigInt64BE();
  }

  /** `host:port` of the server that it is or was connected to. */
  get server(): string {
    const { socket } = this.#connection;
    return socket?.remotePort === undefined
      ? ''
      : `${socket.remoteAddress ?? ''}:${String(socket.remotePort)}`;
  }

  /** As negotiated, ms. */
  get timeoutMs(): number {
    return this.#library.getSessionTimeout();
  }

  /** Sends one operation now; it fails with connection-loss where there is no connection, and with timeout after `deadlineMs`. */
  perform<T>(
    operation: string,
    deadlineMs: number,
    send: (library: Client, reply: Reply<T>) => void,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!this.#connected) {
        reject(new ZooKeeperError('connection-loss', `zookeeper: ${operation}: not connected`));
        return;
      }
      const settle = (): void => {
        cancelDeadline();
        this.#pending.delete(fail);
      };
      const fail = (error: ZooKeeperError): void => {
        settle();
        reject(error);
      };
      const cancelDeadline = this.#options.clock.schedule(deadlineMs, () => {
        // One turn of the event loop first: after a stall the answer may be waiting in the socket.
        setImmediate(() => {
          if (this.#pending.has(fail)) fail(timedOut(operation, deadlineMs));
        });
      });
      this.#pending.add(fail);
      send(this.#library, (error, result) => {
        if (!this.#pending.has(fail)) return;
        if (error) fail(toZooKeeperError(error, operation));
        else {
          settle();
          resolve(result);
        }
      });
    });
  }

  /** Breaks the connection, so that the client goes on with another server. */
  drop(): void {
    this.#connection.socket?.destroy();
  }

  /**
   * Ends this session at the server by another connection, without a word to this one. False if the other connection was not the last that the
   * server saw of the session.
   */
  async expire(deadlineMs: number): Promise<boolean> {
    const id = this.#library.getSessionId();
    const password = this.#library.getSessionPassword();
    let onEvent: (event: ClientEvent) => void = () => undefined;
    const first = new Promise<ClientEvent>((resolve) => {
      onEvent = resolve;
    });
    const other = new ZooKeeperClient({ ...this.#options, session: { id, password }, onEvent });
    const cancel = this.#options.clock.schedule(deadlineMs, () => {
      onEvent('disconnected');
    });
    // Or it would claim the session back before it is ended.
    this.#held = () => undefined;
    other.connect();
    try {
      const event = await first;
      if (event === 'connected') await other.close(deadlineMs);
      return event !== 'disconnected';
    } finally {
      cancel();
      other.dispose();
      const goOn = this.#held;
      this.#held = undefined;
      goOn();
    }
  }

  /** Ends the session at the server, if it is reached within `deadlineMs`, and disposes. */
  async close(deadlineMs: number): Promise<void> {
    const { socket } = this.#connection;
    if (this.#connected && socket)
      await new Promise<void>((resolve) => {
        const cancel = this.#options.clock.schedule(deadlineMs, resolve);
        socket.once('close', () => {
          cancel();
          resolve();
        });
        this.#library.close();
      });
    this.dispose();
  }

  /** Drops everything at once; the session lives on at the server until it times out. */
  dispose(): void {
    this.#disposed = true;
    this.#cancelAttempt();
    this.#clearConnectTimeout();
    this.#onDisconnected();
    this.drop();
  }

  #emit(event: ClientEvent): void {
    if (!this.#disposed) this.#options.onEvent(event);
  }

  #onConnected(): void {
    if (this.#disposed) return;
    this.#connected = true;
    this.#attempts = 0;
    this.#cancelAttempt();
    this.#emit('connected');
  }

  #onDisconnected(): void {
    const was = this.#connected;
    this.#connected = false;
    for (const fail of [...this.#pending])
      fail(new ZooKeeperError('connection-loss', 'zookeeper: the connection broke'));
    if (was) this.#emit('disconnected');
  }

  #mend(): void {
    const connection = this.#connection;
    // The server would take xid 0 for a request that is never answered.
    connection.xid = 1;
    connection.findNextServer = (callback) => {
      this.#findNextServer(callback);
    };
    const read = connection.onSocketData.bind(connection);
    connection.onSocketData = (data) => {
      try {
        read(data);
      } catch {
        // The library throws at error codes that it doesn't know; what was in flight gets connection-loss.
        this.drop();
      }
    };
  }

  #findNextServer(callback: (server: Server) => void): void {
    const connection = this.#connection;
    const { clock } = this.#options;
    connection.pendingBuffer = null;
    this.#clearConnectTimeout();
    // Packets of the attempt before: authentication and watches are queued afresh.
    while (connection.packetQueue.shift() !== undefined);
    if (this.#disposed) return;
    if (this.#held) {
      this.#held = () => {
        this.#findNextServer(callback);
      };
      return;
    }
    const delayMs = this.#attempts === 0 ? 0 : backoffMs(this.#attempts, RECONNECT);
    this.#attempts++;
    this.#cancelAttempt();
    this.#cancelAttempt = clock.schedule(delayMs, () => {
      this.#cancelAttempt = clock.schedule(this.#handshakeMs, () => {
        this.drop();
      });
      const server = connection.servers[this.#nextServer++ % connection.servers.length];
      if (server) callback(server);
    });
  }

  /** Leaves time for the other servers while the session lives; a first session needs a quorum and gets longer. */
  get #handshakeMs(): number {
    const { timeoutMs } = this;
    if (this.sessionId === 0n) return Math.max(timeoutMs, 2000);
    return Math.max(200, timeoutMs / Math.max(2, this.#connection.servers.length));
  }

  #clearConnectTimeout(): void {
    if (this.#connection.connectTimeoutHandler)
      clearTimeout(this.#connection.connectTimeoutHandler);
  }
}

function timedOut(operation: string, deadlineMs: number): ZooKeeperError {
  const limit = String(Math.round(deadlineMs));
  return new ZooKeeperError('timeout', `zookeeper: ${operation} took longer than ${limit} ms`);
}
