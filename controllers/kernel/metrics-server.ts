import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

import type { Registry } from 'prom-client';

import { bracketed } from './server.js';

const MAX_CONNECTIONS = 128;
const IDLE_MS = 60_000;
/** How long a request may take to come, and how often somebody looks. */
const TIMES = { headersTimeout: 5000, requestTimeout: 5000, connectionsCheckingInterval: 1000 };

/** Serves `GET /metrics`: Prometheus text of one node. */
export class MetricsServer {
  readonly #server;

  constructor(registry: Registry) {
    let reading: Promise<string> | undefined;
    // Reading takes a millisecond or two: whoever asks meanwhile shares it.
    const read = (): Promise<string> =>
      (reading ??= registry.metrics().finally(() => {
        reading = undefined;
      }));
    const answered = new WeakSet<Socket>();
    this.#server = createServer(TIMES, (request, response) => {
      // One request for each connection, so that nobody can have more answers made than it takes.
      if (answered.has(request.socket)) {
        request.socket.destroy();
        return;
      }
      answered.add(request.socket);
      response.setHeader('connection', 'close');
      if (request.method !== 'GET' || request.url !== '/metrics') {
        response.writeHead(404).end('GET /metrics is what there is\n');
        return;
      }
      read().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        () => response.writeHead(500).end('the metrics could not be read\n'),
      );
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
    // Who sends nothing, or takes nothing, is not kept.
    this.#server.setTimeout(IDLE_MS, (socket) => {
      socket.destroy();
    });
  }

  /** Binds to a free port; resolves with host:port. Never keeps the process alive by itself. */
  start(ip: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(0, ip, () => {
        this.#server.unref();
        resolve(bracketed(ip, (this.#server.address() as AddressInfo).port));
      });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => {
        resolve();
      });
      this.#server.closeAllConnections();
    });
  }
}
