import { createSocket } from 'node:dgram';
import type { Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Server, Socket } from 'node:net';

import type { Random } from '../../runtime/seeded-random.js';

const PORT = 7946;

/** What happens to UDP packets on their way; shares from 0 to 1. TCP is passed on as it is. */
export interface Weather {
  readonly loss: number;
  readonly duplicates: number;
  /** Come later than those that were sent after them. */
  readonly late: number;
  /** Only of what comes from this address; default all. */
  readonly from?: string;
}

export const FINE: Weather = { loss: 0, duplicates: 0, late: 0 };
const LATE_MS = 60;

/** An address that an agent tells others to be its own: what it is sent passes here first. */
export class Front implements AsyncDisposable {
  weather: Weather | undefined;
  /** Of packets that the weather is for. */
  readonly counts = { passed: 0, lost: 0, doubled: 0, late: 0 };
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #behind: string;
  readonly #random: Random;
  readonly #sockets = new Set<Socket>();
  readonly #timers = new Set<NodeJS.Timeout>();

  private constructor(udp: UdpSocket, tcp: Server, behind: string, random: Random) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#behind = behind;
    this.#random = random;
    udp.on('message', (packet, from) => {
      this.#pass(packet, from.address);
    });
    tcp.on('connection', (socket) => {
      const onwards = connect(PORT, behind);
      for (const one of [socket, onwards])
        one.on('error', () => {
          socket.destroy();
          onwards.destroy();
        });
      for (const one of [socket, onwards]) {
        this.#sockets.add(one);
        one.once('close', () => this.#sockets.delete(one));
      }
      socket.pipe(onwards).pipe(socket);
    });
  }

  /** Both are addresses within 127.0.0.0/8, at memberlist's port. */
  static async open(host: string, behind: string, random: Random): Promise<Front> {
    const udp = createSocket('udp4').bind(PORT, host);
    await once(udp, 'listening');
    const tcp = createServer().listen(PORT, host);
    await once(tcp, 'listening');
    return new Front(udp, tcp, behind, random);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#udp.close();
    const closed = once(this.#tcp, 'close');
    this.#tcp.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #pass(packet: Uint8Array, from: string): void {
    if (!this.weather || (this.weather.from ?? from) !== from) {
      this.#udp.send(packet, PORT, this.#behind, () => undefined);
      return;
    }
    const { loss, duplicates, late } = this.weather;
    if (this.#random() < loss) {
      this.counts.lost++;
      return;
    }
    this.#send(packet, this.#random() < late);
    if (this.#random() >= duplicates) return;
    this.counts.doubled++;
    this.#send(packet, this.#random() < late);
  }

  #send(packet: Uint8Array, isLate: boolean): void {
    const send = (): void => {
      this.#udp.send(packet, PORT, this.#behind, () => undefined);
    };
    this.counts.passed++;
    if (!isLate) {
      send();
      return;
    }
    this.counts.late++;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      send();
    }, this.#random() * LATE_MS);
    this.#timers.add(timer);
  }
}
