import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/**
 * A TCP proxy that can cut all connections, or one just after a request has gone through and before its reply comes back: the request was
 * done, and its sender doesn't know.
 */
export class CuttingProxy {
  readonly #target: number;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => {
    this.#forward(client);
  });
  #cutAt: string | undefined;
  #cuts = 0;
  #isCut = false;

  private constructor(target: number) {
    this.#target = target;
  }

  static async start(targetPort: number): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(targetPort);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get connect(): string {
    return `127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  get cuts(): number {
    return this.#cuts;
  }

  /** Cuts once, after the next request that contains this text. */
  cutAfter(text: string): void {
    this.#cutAt = text;
  }

  /** Breaks all connections, and each that comes, until `mend`. */
  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #forward(client: Socket): void {
    if (this.#isCut) {
      client.destroy();
      return;
    }
    const server = connect({ host: '127.0.0.1', port: this.#target });
    let cutting = false;
    client.on('data', (data) => {
      server.write(data);
      if (this.#cutAt === undefined || !data.includes(this.#cutAt)) return;
      this.#cutAt = undefined;
      cutting = true;
    });
    server.on('data', (data) => {
      if (!cutting) {
        client.write(data);
        return;
      }
      this.#cuts++;
      client.destroy();
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.on('error', () => socket.destroy());
      socket.on('close', () => {
        this.#sockets.delete(socket);
        other.destroy();
      });
    }
  }
}
