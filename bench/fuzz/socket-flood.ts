import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { sleep } from '../../runtime/deadline.js';

/** A connection without manners: it never asks whether anybody listens. */
export class RudeSocket implements Disposable {
  readonly #socket: Socket;
  readonly closed: Promise<void>;
  #isClosed = false;

  constructor(address: string, reads = true) {
    const at = address.lastIndexOf(':');
    this.#socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) });
    this.#socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        this.#isClosed = true;
        resolve();
      });
    });
    if (reads) this.#socket.resume();
    else this.#socket.pause();
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  /** Resolves when the system has taken the bytes, or after a moment. */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.#isClosed) return;
    await new Promise<void>((resolve) => {
      const late = setTimeout(resolve, PATIENCE_MS);
      this.#socket.write(bytes, () => {
        clearTimeout(late);
        resolve();
      });
    });
  }

  /** Sends what `next` makes until the time is over or the other end hangs up. */
  async flood(forMs: number, next: () => Uint8Array): Promise<void> {
    const untilMs = performance.now() + forMs;
    while (!this.#isClosed && performance.now() < untilMs) {
      await this.send(next());
      await sleep(1);
    }
  }

  /** Waits, or until the other end hangs up. */
  async linger(forMs: number): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.closed, sleep(forMs, over.signal).catch(() => undefined)]);
    over.abort();
  }

  halfClose(): void {
    this.#socket.end();
  }
}

const PATIENCE_MS = 300;

/** Opens so many connections that do nothing but stay; resolves with those that still stand after a while. */
export async function idleConnections(
  address: string,
  count: number,
  forMs: number,
): Promise<number> {
  const sockets: RudeSocket[] = [];
  try {
    for (let opened = 0; opened < count; opened++) {
      sockets.push(new RudeSocket(address));
      if (opened % BURST === 0) await sleep(BURST_MS);
    }
    await sleep(forMs);
    return sockets.filter((socket) => !socket.isClosed).length;
  } finally {
    for (const socket of sockets) socket[Symbol.dispose]();
    await Promise.all(sockets.map((socket) => socket.closed));
  }
}

const BURST = 100;
const BURST_MS = 10;
