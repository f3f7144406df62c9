import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { Registry } from 'prom-client';

import { bracketed } from './server.js';

/** Serves `GET /metrics`: Prometheus text of one node. */
export class MetricsServer {
  readonly #server;

  constructor(registry: Registry) {
    this.#server = createServer((request, response) => {
      if (request.method !== 'GET' || request.url !== '/metrics') {
        response.writeHead(404).end('GET /metrics is what there is\n');
        return;
      }
      registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    });
    this.#server.requestTimeout = 5000;
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
