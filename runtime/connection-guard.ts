import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2';

import type { Server } from '@grpc/grpc-js';

import { ClosedSessions } from './closed-sessions.js';
import { closeBetweenFrames } from './late-close.js';

/** What the connections of one server may be. */
export interface ConnectionLimits {
  /** Connections at a time. One more, and the one that has been without a call for the longest leaves. */
  readonly max_connections: number;
  /** Bytes of the metadata of one call. */
  readonly max_metadata_bytes: number;
}

/** What HTTP/2 itself bounds. Rapid resets, continuations and acknowledgements that nobody takes are bounded by nghttp2. */
const MAX_INVALID_FRAMES = 100;
const MAX_SETTINGS = 16;
const MAX_FIELDS = 100;
const HANDSHAKE_MS = 5000;
/** Sockets beyond the connections that are let in, such as those that have not shown a certificate yet. */
const MORE_SOCKETS = 256;

/** Of all servers of this process. */
const closedSessions = new ClosedSessions();

interface Http2Server {
  maxConnections?: number;
  on(event: 'session', listener: (session: ServerHttp2Session) => void): void;
}

/** The parts of a server of grpc-js that are reached into: all private. */
interface InnerServer {
  commonServerOptions?: { settings?: object };
  createHttp2Server?: (credentials: unknown) => Http2Server;
}

/**
 * Bounds the connections of a server that has not been bound yet. grpc-js has no options for it, nor for the window of a server, whose uploads would
 * crawl at 64 KiB a round trip: this reaches into private fields, guarded. Where they have changed, the server works with what is usual.
 *
 * @param windowBytes HTTP/2 window of connections and streams; default: 64 KiB
 */
export function guardConnections(
  server: Server,
  limits: ConnectionLimits,
  windowBytes?: number,
): void {
  const inner = server as unknown as InnerServer;
  if (!inner.commonServerOptions || typeof inner.createHttp2Server !== 'function') return;
  Object.assign(inner.commonServerOptions, {
    ...{ maxSessionInvalidFrames: MAX_INVALID_FRAMES, maxSettings: MAX_SETTINGS },
    ...{ maxHeaderListPairs: MAX_FIELDS, handshakeTimeout: HANDSHAKE_MS },
    settings: {
      ...inner.commonServerOptions.settings,
      maxHeaderListSize: limits.max_metadata_bytes,
      ...(windowBytes !== undefined && { initialWindowSize: windowBytes }),
    },
  });
  const create = inner.createHttp2Server.bind(server);
  inner.createHttp2Server = (credentials) => {
    const http2Server = create(credentials);
    const room = new ConnectionRoom(limits.max_connections);
    http2Server.maxConnections = limits.max_connections + MORE_SOCKETS;
    http2Server.on('session', (session) => {
      closedSessions.watch(session);
      closeBetweenFrames(session);
      if (windowBytes !== undefined) session.setLocalWindowSize(windowBytes);
      room.enter(session);
    });
    return http2Server;
  };
}

/** Keeps so many connections. Those without a call make room for new ones, so that nobody who only connects keeps others out. */
class ConnectionRoom {
  readonly #most: number;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Those without a call, the one that has been so for the longest first. */
  readonly #idle = new Set<ServerHttp2Session>();

  constructor(most: number) {
    this.#most = most;
  }

  enter(session: ServerHttp2Session): void {
    if (this.#sessions.size >= this.#most && !this.#makeRoom()) {
      session.destroy();
      return;
    }
    this.#sessions.add(session);
    this.#idle.add(session);
    let calls = 0;
    session.on('stream', (stream: ServerHttp2Stream) => {
      calls++;
      this.#idle.delete(session);
      stream.once('close', () => {
        calls--;
        if (calls === 0 && this.#sessions.has(session)) this.#idle.add(session);
      });
    });
    session.once('close', () => {
      this.#sessions.delete(session);
      this.#idle.delete(session);
    });
  }

  #makeRoom(): boolean {
    const [longest] = this.#idle;
    if (!longest) return false;
    this.#sessions.delete(longest);
    this.#idle.delete(longest);
    longest.destroy();
    return true;
  }
}
