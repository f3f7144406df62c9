import { createSocket } from 'node:dgram';
import type { RemoteInfo, Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

import { deadlineExceeded, unavailable } from '../../runtime/errors.js';
import type { Endpoint } from '../core/member.js';
import { addressBytes, addressText, endpointText } from './address.js';

/** Packets wait in the system while the event loop is busy. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 ** 2;
/** Connections that others have open here; as memberlist, whose limit is on exchanges. */
const MAX_CONNECTIONS = 128;
/** Of them from one address: it can't keep all others out. Members behind one address share them. */
const MAX_CONNECTIONS_OF_ONE = 64;
/** Where any port will do: tries until one is free for UDP and TCP alike. */
const PORT_TRIES = 20;

export interface SocketEvents {
  packet(bytes: Uint8Array, from: Endpoint): void;
  /** The connection is the receiver's: it ends it. */
  connection(socket: Socket): void;
  /** A connection was ended at once, since there are too many. */
  tooMany(from: Endpoint): void;
  /** A packet could not be sent. */
  unsent(error: Error): void;
  /** The system could not hand over a connection, such as for want of memory; it may the next one. */
  unaccepted(error: Error): void;
}

/** One UDP and one TCP socket on the same port. Owns them and all connections. */
export class Sockets implements AsyncDisposable {
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #connections = new Set<Socket>();
  /** Connections that others opened, by their address. Invariant: `#accepted` is their sum. */
  readonly #acceptedFrom = new Map<string, number>();
  #accepted = 0;
  #sending = 0;
  readonly #unsent: (error: Error) => void;
  readonly local: Endpoint;

  private constructor(udp: UdpSocket, tcp: Server, events: SocketEvents) {
    this.#udp = udp;
    this.#tcp = tcp;
    const { address, port } = tcp.address() as AddressInfo;
    this.local = { address: addressBytes(address), port };
    udp.on('message', (bytes: Buffer, from: RemoteInfo) => {
      events.packet(bytes, { address: addressBytes(from.address), port: from.port });
    });
    this.#unsent = (error) => {
      events.unsent(error);
    };
    udp.on('error', this.#unsent);
    tcp.on('error', (error) => {
      events.unaccepted(error);
    });
    tcp.on('connection', (socket: Socket) => {
      const { remoteAddress = '', remotePort = 0 } = socket;
      this.#own(socket);
      // It is gone already.
      if (remoteAddress === '') socket.destroy();
      else if (this.#accept(socket, remoteAddress)) events.connection(socket);
      else {
        socket.resetAndDestroy();
        events.tooMany({ address: addressBytes(remoteAddress), port: remotePort });
      }
    });
  }

  /** `port` 0 = any. Rejects with what the system says, such as EADDRINUSE. */
  static async open(host: string, port: number, events: SocketEvents): Promise<Sockets> {
    for (let tries = 1; ; tries++) {
      const tcp = createServer({ noDelay: true });
      try {
        await listening(tcp, host, port);
        const udp = await bound(host, (tcp.address() as AddressInfo).port);
        return new Sockets(udp, tcp, events);
      } catch (error) {
        tcp.close();
        if (port !== 0 || tries >= PORT_TRIES) throw error;
      }
    }
  }

  /** Sends one packet; what can't be sent is told of and lost like any other. */
  send(bytes: Uint8Array, to: Endpoint): void {
    const host = addressText(to.address);
    // Nobody listens on port 0; the library would throw.
    if (host === undefined || to.port === 0) return;
    this.#sending++;
    this.#udp.send(bytes, to.port, host, (error) => {
      this.#sending--;
      // Whoever gives a callback gets no event.
      if (error) this.#unsent(error);
    });
  }

  /** Opens a connection. UNAVAILABLE where it can't, also after so long; all that follows on it has the same deadline. */
  async dial(to: Endpoint, timeoutMs: number): Promise<Socket> {
    const host = addressText(to.address);
    if (host === undefined || to.port === 0)
      throw unavailable('NOT_REACHED', `${endpointText(to)} is no address to connect to`);
    const socket = connect({ host, port: to.port, noDelay: true, ...this.#ownAddress() });
    this.#own(socket);
    this.limit(socket, timeoutMs);
    try {
      await once(socket, 'connect');
      return socket;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw unavailable('NOT_REACHED', `${endpointText(to)}: ${why}`, { cause: error });
    }
  }

  /** Ends a connection after so long, whatever happens on it. */
  limit(socket: Socket, timeoutMs: number): void {
    const timer = setTimeout(() => {
      socket.destroy(deadlineExceeded(`nothing was finished within ${String(timeoutMs)} ms`));
    }, timeoutMs).unref();
    socket.once('close', () => {
      clearTimeout(timer);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // With an error: who waits for it to be connected would hear nothing of a mere end.
    const stopped = unavailable('STOPPED', 'this member was stopped');
    for (const socket of this.#connections) socket.destroy(stopped);
    // The last word, such as a goodbye, is on its way to the system still.
    if (this.#sending > 0) await nextTurn();
    await Promise.all([
      new Promise<void>((resolve) => {
        this.#udp.close(resolve);
      }),
      new Promise((resolve) => this.#tcp.close(resolve)),
    ]);
  }

  /** A member on loopback stays there, whatever addresses it is told. */
  #ownAddress(): { readonly localAddress?: string } {
    const text = addressText(this.local.address) ?? '';
    return text.startsWith('127.') ? { localAddress: text } : {};
  }

  /** False where there are too many. */
  #accept(socket: Socket, from: string): boolean {
    const ofOne = this.#acceptedFrom.get(from) ?? 0;
    if (this.#accepted >= MAX_CONNECTIONS || ofOne >= MAX_CONNECTIONS_OF_ONE) return false;
    this.#accepted++;
    this.#acceptedFrom.set(from, ofOne + 1);
    socket.once('close', () => {
      this.#accepted--;
      const left = (this.#acceptedFrom.get(from) ?? 0) - 1;
      if (left > 0) this.#acceptedFrom.set(from, left);
      else this.#acceptedFrom.delete(from);
    });
    return true;
  }

  #own(socket: Socket): void {
    this.#connections.add(socket);
    // What breaks is heard of by whoever reads or writes.
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.#connections.delete(socket);
    });
  }
}

async function listening(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}

async function bound(host: string, port: number): Promise<UdpSocket> {
  const socket = createSocket({
    type: host.includes(':') ? 'udp6' : 'udp4',
    recvBufferSize: RECEIVE_BUFFER_BYTES,
  });
  try {
    socket.bind(port, host);
    await once(socket, 'listening');
    return socket;
  } catch (error) {
    socket.close();
    throw error;
  }
}
