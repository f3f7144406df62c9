import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

import { limitsSection } from '../../../../../config/limits.js';
import { ObjectTable } from '../../../../../controllers/kernel/capabilities/objects.js';
import type { KeptMemory } from '../../../../../controllers/kernel/memory/access.js';
import type { BulkPeer } from '../../../../../controllers/kernel/memory/bulk/bulk-connection.js';
import { BulkPool } from '../../../../../controllers/kernel/memory/bulk/bulk-pool.js';
import type { BulkPoolOptions } from '../../../../../controllers/kernel/memory/bulk/bulk-pool.js';
import { BulkServer } from '../../../../../controllers/kernel/memory/bulk/bulk-server.js';
import { FrameParser } from '../../../../../controllers/kernel/memory/bulk/framing.js';
import type { FrameKind } from '../../../../../controllers/kernel/memory/bulk/framing.js';
import { greetingFrame } from '../../../../../controllers/kernel/memory/bulk/messages.js';
import type { BulkCertificates } from '../../../../../controllers/kernel/memory/bulk/transport.js';
import { BufferContent } from '../../../../../controllers/kernel/memory/buffer-content.js';
import { OwnMemories } from '../../../../../controllers/kernel/memory/own-memories.js';
import { BufferSink } from '../../../../../controllers/kernel/memory/sinks.js';
import { TransferHash } from '../../../../../controllers/kernel/memory/transfer-hash.js';
import { noWireCounts } from '../../../../../controllers/kernel/wire-counts.js';
import { systemClock } from '../../../../../runtime/clock.js';
import { silentLogger } from '../../../../../runtime/logger.js';
import type { Logger } from '../../../../../runtime/logger.js';
import { assert } from '../../../../suite.js';
import { form, never, pattern } from '../sites.js';

export const KEY = Buffer.alloc(32, 5);

export const greetingOf = (member: string, epoch = 1n) => ({
  key: KEY,
  hello: { dataCenter: 'test', member, epoch },
});

/** A logger that keeps its warnings. */
function warnings(): { readonly log: Logger; readonly lines: string[] } {
  const log = silentLogger();
  const lines: string[] = [];
  log.warn = (...args: unknown[]): void => {
    lines.push(JSON.stringify(args));
  };
  return { log, lines };
}

/** The serving end: real, with memories. */
export class Served implements AsyncDisposable {
  readonly objects = new ObjectTable('math-1', () => []);
  readonly own: OwnMemories;
  readonly lines: string[];
  readonly server: BulkServer;
  address = '';

  constructor(certificates?: BulkCertificates) {
    const { log, lines } = warnings();
    this.lines = lines;
    this.objects.begin(1n);
    const limits = limitsSection.parse({});
    this.own = new OwnMemories({ objects: this.objects, limits, clock: systemClock, log });
    this.server = new BulkServer({
      ...{ greeting: () => greetingOf('math-1'), own: this.own, log, wire: noWireCounts },
      ...{ stallMs: 100, greetingMs: 100, certificates },
    });
  }

  static async start(certificates?: BulkCertificates): Promise<Served> {
    const served = new Served(certificates);
    served.address = await served.server.start('127.0.0.1');
    return served;
  }

  get peer(): BulkPeer {
    return { id: 'math-1', epoch: 1n, dataAddress: this.address };
  }

  keep(sizeBytes: number): KeptMemory {
    const content = new BufferContent(pattern(sizeBytes));
    return this.own.keep(content, form, { client: 'test', leaseMs: Infinity });
  }

  /** Resolves when no connection is left: without anybody's doing. */
  async deserted(): Promise<void> {
    while (this.server.connections > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    assert.is(this.server.connections, 0);
    assert.equal([this.own.count, this.objects.size], [0, 0]);
  }
}

/** A reading end made by hand. */
export class RawReader implements AsyncDisposable {
  readonly frames: FrameKind[] = [];
  readonly payloads: Buffer[] = [];
  readonly closed: Promise<void>;
  readonly socket: Socket;

  constructor(address: string) {
    const [host, port] = address.split(':');
    this.socket = connect({ host: host!, port: Number(port) });
    const parser = new FrameParser({
      room: (_kind, length) => Buffer.alloc(length),
      frame: (kind, payload) => {
        this.frames.push(kind);
        this.payloads.push(Buffer.from(payload));
      },
    });
    this.socket.on('data', (bytes: Buffer) => parser.feed(bytes));
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.on('close', () => {
        resolve();
      });
    });
  }

  send(...frames: readonly Uint8Array[]): this {
    this.socket.write(Buffer.concat(frames));
    return this;
  }

  greet(): this {
    return this.send(greetingFrame(greetingOf('cnn-1')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.closed;
  }
}

/** A serving end made by hand: `serve` hears of each connection. */
export class RawServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  accepted = 0;

  private constructor(serve: (socket: Socket, count: number) => void) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.#sockets.delete(socket));
      serve(socket, ++this.accepted);
    });
  }

  static async start(serve: (socket: Socket, count: number) => void): Promise<RawServer> {
    const server = new RawServer(serve);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get peer(): BulkPeer {
    const { port } = this.#server.address() as AddressInfo;
    return { id: 'math-1', epoch: 1n, dataAddress: `127.0.0.1:${String(port)}` };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The reading end: real. */
export class Reading implements AsyncDisposable {
  readonly pool: BulkPool;
  readonly lines: string[];

  constructor(options: Partial<BulkPoolOptions> = {}) {
    const { log, lines } = warnings();
    this.lines = lines;
    this.pool = new BulkPool({
      ...{ greeting: () => greetingOf('cnn-1'), log, wire: noWireCounts },
      ...{ stallMs: 100, greetingMs: 100 },
      ...options,
    });
  }

  /** Reads that many bytes. */
  async read(
    peer: BulkPeer,
    sizeBytes: number,
    capability?: KeptMemory['memory']['capability'],
    signal: AbortSignal = never,
  ): Promise<Buffer> {
    const target = Buffer.alloc(sizeBytes);
    const request = { capability, offset: 0n, length: 0n, sha256: false };
    const sink = new BufferSink(target, new TransferHash(false));
    await this.pool.read(peer, request, sink, signal);
    return target;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.pool.close();
    assert.equal([this.pool.connections, this.pool.waiting], [0, 0]);
  }
}
