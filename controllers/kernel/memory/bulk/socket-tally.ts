import type { Socket } from 'node:net';

import type { WireCounts } from '../../wire-counts.js';

/**
 * Tells a socket's bytes, and the frames that were counted since, to the counts of its peer; what comes before the peer is known waits. In mtls mode
 * these are the bytes that TLS carries, without its own.
 */
export class SocketTally {
  readonly #socket: Socket;
  #counts: WireCounts | undefined;
  #read = 0;
  #written = 0;
  #framesIn = 0;
  #framesOut = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.once('close', () => {
      this.tell();
    });
  }

  peer(counts: WireCounts): void {
    this.#counts = counts;
  }

  frameIn(): void {
    this.#framesIn++;
  }

  frameOut(): void {
    this.#framesOut++;
  }

  tell(): void {
    if (!this.#counts) return;
    const { bytesRead, bytesWritten } = this.#socket;
    this.#counts.received(bytesRead - this.#read, this.#framesIn);
    this.#counts.sent(bytesWritten - this.#written, this.#framesOut);
    this.#read = bytesRead;
    this.#written = bytesWritten;
    this.#framesIn = 0;
    this.#framesOut = 0;
  }
}
