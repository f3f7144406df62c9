import { timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';

import type { ReadRequest, TransferEnd } from '../../../../protos/gen/fractory/v1/controller.js';
import { fromRpcStatus, toFractoryError } from '../../../../protos/status.js';
import { FractoryError, messageOf, unavailable } from '../../../../runtime/errors.js';
import type { Logger } from '../../../../runtime/logger.js';
import type { MemberKey } from '../../directory.js';
import type { WireCountsOf } from '../../wire-counts.js';
import type { ChunkSink } from '../remote-memories.js';
import { BulkInput } from './bulk-input.js';
import { FrameParser, FramingError } from './framing.js';
import type { FrameKind, FrameTarget } from './framing.js';
import { decodeBegin, decodeEnd, decodeGreeting, decodeStatus } from './messages.js';
import { greetingFrame, readFrame } from './messages.js';
import type { Greeting } from './messages.js';
import { SocketTally } from './socket-tally.js';
import { bulkSocket } from './transport.js';
import type { BulkCertificates } from './transport.js';

const GREETING_MS = 5000;
const IDLE_MS = 30_000;

/** Where another controller serves its memories. */
export interface BulkPeer extends MemberKey {
  /** host:port */
  readonly dataAddress: string;
}

export interface BulkClientOptions {
  /** Who this node is now. */
  readonly greeting: () => Greeting;
  readonly certificates?: BulkCertificates | undefined;
  /** How long the other end may send nothing in a transfer, ms. */
  readonly stallMs: number;
  /** How long the other end may take to accept and to greet, ms. Default 5000. */
  readonly greetingMs?: number;
  /** How long a connection is kept without use, ms. Default 30,000: shorter than the other end keeps it. */
  readonly idleMs?: number;
  readonly log: Logger;
  readonly wire: WireCountsOf;
}

interface Transfer {
  readonly sink: ChunkSink;
  readonly resolve: (end: TransferEnd) => void;
  readonly reject: (error: unknown) => void;
  /** Bytes that the owner has announced; undefined before it has admitted the read. */
  announced: number | undefined;
  received: number;
}

/** One connection to another controller, for one read at a time. What breaks it fails the read under way; nothing else remains. */
export class BulkConnection implements FrameTarget {
  readonly #peer: BulkPeer;
  readonly #options: BulkClientOptions;
  readonly #own: Greeting;
  readonly #socket: Socket;
  readonly #tally: SocketTally;
  readonly #input = new BulkInput(new FrameParser(this));
  /** Resolves when nothing of the connection is left. */
  readonly closed: Promise<void>;
  #greeted = false;
  #transfer: Transfer | undefined;
  #broken: FractoryError | undefined;
  /** Whether the read under way, or the last one, has had any answer. */
  #answered = false;

  /** `onClosed` is called once, when the connection is of no use any more. */
  constructor(peer: BulkPeer, options: BulkClientOptions, onClosed: () => void) {
    this.#peer = peer;
    this.#options = options;
    this.#own = options.greeting();
    this.#socket = bulkSocket(peer.dataAddress, options.certificates, {
      buffer: () => this.#input.lend(),
      callback: (bytes, buffer) => this.#take(bytes, buffer),
    });
    this.#tally = new SocketTally(this.#socket);
    this.#tally.peer(options.wire(peer.id, 'bulk'));
    this.#socket.setTimeout(options.greetingMs ?? GREETING_MS);
    this.#socket.on('timeout', () => {
      this.#onTimeout();
    });
    this.#socket.on('error', (error) => {
      this.#fail(this.#lost(messageOf(error), error));
    });
    for (const event of ['end', 'close'] as const)
      this.#socket.on(event, () => {
        this.#fail(this.#lost('the connection ended'));
      });
    this.closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        onClosed();
        resolve();
      });
    });
    this.#send(greetingFrame(this.#own));
  }

  get isOpen(): boolean {
    return this.#broken === undefined;
  }

  /** Whether nothing came back on the last read before the connection broke: on another it may succeed. */
  get brokeUnanswered(): boolean {
    return !this.isOpen && !this.#answered;
  }

  /** Reads a memory of the peer into `sink`. Cancelling it costs the connection. */
  async read(request: ReadRequest, sink: ChunkSink, signal: AbortSignal): Promise<TransferEnd> {
    if (this.#broken) throw this.#broken;
    if (this.#transfer) throw new Error('the connection has a transfer under way');
    if (signal.aborted) throw toFractoryError(signal.reason);
    const onAbort = (): void => {
      this.#fail(toFractoryError(signal.reason));
    };
    signal.addEventListener('abort', onAbort);
    try {
      return await new Promise<TransferEnd>((resolve, reject) => {
        this.#answered = false;
        this.#transfer = { sink, resolve, reject, announced: undefined, received: 0 };
        if (this.#greeted) this.#socket.setTimeout(this.#options.stallMs);
        this.#send(readFrame(request));
      });
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#tally.tell();
    }
  }

  /** Ends the connection; a read under way fails with `cause`. Idempotent. */
  destroy(cause: FractoryError): void {
    this.#fail(cause);
  }

  room(kind: FrameKind, length: number): Uint8Array {
    if (kind !== 'chunk') return Buffer.allocUnsafe(length);
    const transfer = this.#under('chunk');
    if (transfer.announced === undefined || transfer.received + length > transfer.announced)
      throw new FramingError(`more than the ${String(transfer.announced ?? 0)} bytes announced`);
    transfer.received += length;
    return transfer.sink.room(length);
  }

  frame(kind: FrameKind, payload: Uint8Array): void {
    this.#tally.frameIn();
    if (!this.#greeted) {
      this.#greet(kind, payload);
      return;
    }
    const transfer = this.#under(kind);
    this.#answered = true;
    switch (kind) {
      case 'begin':
        transfer.announced = decodeBegin(payload);
        transfer.sink.begin(transfer.announced);
        return;
      case 'chunk':
        this.#pauseFor(transfer.sink.filled(payload));
        return;
      case 'end':
        this.#complete(transfer, decodeEnd(payload));
        return;
      case 'status':
        this.#refused(transfer, fromRpcStatus(decodeStatus(payload)));
        return;
      case 'hello':
      case 'read':
        throw new FramingError(`a ${kind} frame where an answer was expected`);
    }
  }

  #greet(kind: FrameKind, payload: Uint8Array): void {
    if (kind !== 'hello') throw new FramingError(`a ${kind} frame before the hello`);
    const { key, hello } = decodeGreeting(payload);
    if (!timingSafeEqual(key, this.#own.key))
      throw this.#lost('whoever answers there does not belong to this data center');
    if (hello.member !== this.#peer.id || hello.epoch !== this.#peer.epoch)
      throw this.#lost(`it is ${hello.member} in epoch ${String(hello.epoch)} that answers there`);
    this.#greeted = true;
    this.#socket.setTimeout(this.#transfer ? this.#options.stallMs : this.#idleMs);
  }

  #complete(transfer: Transfer, end: TransferEnd): void {
    if (transfer.received !== transfer.announced || Number(end.sizeBytes) !== transfer.received)
      throw new FramingError(
        `${String(transfer.received)} of ${String(transfer.announced)} bytes at the end`,
      );
    this.#idle();
    transfer.resolve(end);
  }

  #refused(transfer: Transfer, error: FractoryError): void {
    this.#idle();
    transfer.reject(error);
  }

  #idle(): void {
    this.#transfer = undefined;
    this.#socket.setTimeout(this.#idleMs);
  }

  get #idleMs(): number {
    return this.#options.idleMs ?? IDLE_MS;
  }

  #under(kind: FrameKind): Transfer {
    if (this.#transfer) return this.#transfer;
    throw new FramingError(`a ${kind} frame that nobody asked for`);
  }

  /** Bytes have arrived; false = no more for now. */
  #take(bytes: number, buffer: Uint8Array): boolean {
    if (this.#broken) return false;
    try {
      return this.#input.take(bytes, buffer) && this.isOpen;
    } catch (error) {
      this.#failWith(error);
      return false;
    }
  }

  /** Reads on when the sink has done with the chunk. */
  #pauseFor(settled: Promise<void> | void): void {
    if (!settled) return;
    this.#input.pause();
    settled.then(
      () => {
        if (this.isOpen) this.#readOn();
      },
      (error: unknown) => {
        this.#fail(error);
      },
    );
  }

  #readOn(): void {
    try {
      if (!this.#input.resume() || !this.isOpen) return;
      if (this.#transfer) this.#socket.setTimeout(this.#options.stallMs);
      this.#socket.resume();
    } catch (error) {
      this.#failWith(error);
    }
  }

  #send(frame: Uint8Array): void {
    this.#tally.frameOut();
    this.#socket.write(frame);
  }

  #onTimeout(): void {
    if (!this.#transfer && this.#greeted) this.#fail(this.#lost('the connection was idle'));
    // Whoever takes the bytes slowly is on this side.
    else if (!this.#input.isPaused) this.#fail(this.#lost('it has sent nothing for too long'));
  }

  #failWith(error: unknown): void {
    if (error instanceof FramingError) {
      this.#options.log.warn(
        { peer: this.#peer.id, cause: error.message },
        'closing a bulk connection that is not understood',
      );
      this.#fail(this.#lost(error.message, error));
    } else this.#fail(error);
  }

  #fail(cause: unknown): void {
    if (this.#broken) return;
    this.#broken = cause instanceof FractoryError ? cause : this.#lost(messageOf(cause), cause);
    this.#socket.destroy();
    const transfer = this.#transfer;
    this.#transfer = undefined;
    transfer?.reject(cause);
  }

  #lost(why: string, cause?: unknown): FractoryError {
    const { id, epoch } = this.#peer;
    return unavailable('OWNER_LOST', `reading from ${id} failed: ${why}`, {
      metadata: { owner: id, epoch: String(epoch) },
      ...(cause === undefined ? {} : { cause }),
    });
  }
}
