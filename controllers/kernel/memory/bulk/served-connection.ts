import { timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';

import type { ReadRequest } from '../../../../protos/gen/fractory/v1/controller.js';
import { cancelled, messageOf } from '../../../../runtime/errors.js';
import type { Logger } from '../../../../runtime/logger.js';
import { denied } from '../../capabilities/caveats.js';
import type { WireCountsOf } from '../../wire-counts.js';
import type { OpenRead } from '../open-memory.js';
import type { OwnMemories } from '../own-memories.js';
import { TransferHash } from '../transfer-hash.js';
import type { ChunkBuffers } from './chunk-buffers.js';
import { frameHeader, FrameParser, FramingError } from './framing.js';
import type { FrameKind, FrameTarget } from './framing.js';
import { beginFrame, decodeGreeting, decodeRead, endFrame } from './messages.js';
import { greetingFrame, statusFrame } from './messages.js';
import type { Greeting } from './messages.js';
import { SocketTally } from './socket-tally.js';

const GREETING_MS = 5000;
/** How long a connection may be idle, ms: longer than callers keep one. */
const IDLE_MS = 120_000;
/** Bytes of one chunk. */
export const CHUNK_BYTES = 512 * 1024;

export interface ServedOptions {
  /** Who this node is now. */
  readonly greeting: () => Greeting;
  readonly own: Pick<OwnMemories, 'openRead'>;
  /** Memory for chunks, of `CHUNK_BYTES` each. */
  readonly buffers: ChunkBuffers;
  /** How long the other end may take nothing while something is there for it, ms. */
  readonly stallMs: number;
  /** The caller has shown that it belongs to the data center. */
  readonly onGreeted?: () => void;
  /** How long a caller may take to say who it is, ms. Default 5000. */
  readonly greetingMs?: number;
  readonly log: Logger;
  readonly wire: WireCountsOf;
}

/** One connection that another controller opened: answers its reads, one at a time. Owns the socket. */
export class ServedConnection implements FrameTarget {
  readonly #socket: Socket;
  readonly #options: ServedOptions;
  readonly #parser = new FrameParser(this);
  readonly #tally: SocketTally;
  readonly #closed = new AbortController();
  readonly #gone: Promise<void>;
  #peer: string | undefined;
  #serving: Promise<void> | undefined;

  constructor(socket: Socket, options: ServedOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#tally = new SocketTally(socket);
    socket.setTimeout(options.greetingMs ?? GREETING_MS);
    socket.on('data', (bytes: Buffer) => {
      this.#take(bytes);
    });
    socket.on('timeout', () => {
      this.#onTimeout();
    });
    socket.on('error', (error) => {
      options.log.debug({ peer: this.#peer, cause: error.message }, 'bulk connection broke');
    });
    this.#gone = new Promise((resolve) => {
      socket.on('close', () => {
        this.#closed.abort(cancelled('the reader closed the connection'));
        resolve();
      });
    });
  }

  /** Cuts the connection; resolves when nothing of it is left. */
  async destroy(): Promise<void> {
    this.#socket.destroy();
    await this.#gone;
    await this.#serving;
  }

  room(kind: FrameKind, length: number): Uint8Array {
    const expected = this.#peer === undefined ? 'hello' : 'read';
    if (kind !== expected || this.#serving)
      throw new FramingError(`a ${kind} frame where only a ${expected} may come`);
    return Buffer.allocUnsafe(length);
  }

  frame(kind: FrameKind, payload: Uint8Array): void {
    this.#tally.frameIn();
    if (this.#peer === undefined) {
      this.#greet(payload);
      return;
    }
    if (kind !== 'read' || this.#serving) throw new FramingError(`an empty ${kind} frame`);
    this.#socket.setTimeout(this.#options.stallMs);
    this.#serving = this.#serve(decodeRead(payload)).finally(() => {
      this.#serving = undefined;
      this.#socket.setTimeout(IDLE_MS);
      this.#tally.tell();
    });
  }

  #take(bytes: Uint8Array): void {
    try {
      this.#parser.feed(bytes, () => this.#socket.destroyed);
    } catch (error) {
      this.#options.log.warn(
        { peer: this.#peer, address: this.#socket.remoteAddress, cause: messageOf(error) },
        'closing a bulk connection that is not understood',
      );
      this.#socket.destroy();
    }
  }

  /** Whoever can't show the key of the data center learns nothing. */
  #greet(payload: Uint8Array): void {
    const own = this.#options.greeting();
    const { key, hello } = decodeGreeting(payload);
    if (!timingSafeEqual(key, own.key)) throw new FramingError('the key is not that of a member');
    if (hello.dataCenter !== own.hello.dataCenter)
      throw new FramingError(`the caller belongs to ${hello.dataCenter}`);
    this.#peer = hello.member;
    this.#options.onGreeted?.();
    this.#tally.peer(this.#options.wire(hello.member, 'bulk'));
    this.#send(greetingFrame(own));
    this.#socket.setTimeout(IDLE_MS);
  }

  async #serve(request: ReadRequest): Promise<void> {
    this.#socket.cork();
    try {
      if (!request.capability) throw denied('the read comes without a capability');
      const { own } = this.#options;
      const range = { offset: Number(request.offset), length: Number(request.length) };
      const open = own.openRead(request.capability, range);
      const hash = new TransferHash(request.sha256);
      this.#send(beginFrame(open.sizeBytes));
      await this.#sendChunks(open, hash);
      this.#send(endFrame({ sizeBytes: BigInt(hash.sizeBytes), sha256: hash.sha256 }));
    } catch (error) {
      this.#refuse(error);
    } finally {
      while (this.#socket.writableCorked > 0) this.#socket.uncork();
    }
  }

  /** What is small goes out in one piece, from the begin to the end. */
  async #sendChunks(open: OpenRead, hash: TransferHash): Promise<void> {
    const { buffers } = this.#options;
    for await (const chunk of open.chunks(CHUNK_BYTES, this.#closed.signal, buffers.lend)) {
      hash.add(chunk);
      // Between this check and the write nothing else runs.
      open.check();
      this.#socket.cork();
      this.#send(frameHeader('chunk', chunk.length));
      const takesMore = this.#socket.write(chunk, (error) => {
        if (!error) buffers.giveBack(chunk);
      });
      if (hash.sizeBytes === open.sizeBytes) continue;
      while (this.#socket.writableCorked > 0) this.#socket.uncork();
      this.#tally.tell();
      if (!takesMore) await this.#drained();
    }
  }

  #refuse(error: unknown): void {
    if (this.#socket.destroyed) return;
    this.#send(statusFrame(error));
  }

  #send(frame: Uint8Array): void {
    this.#tally.frameOut();
    this.#socket.write(frame);
  }

  /** Resolves when the socket takes more, or is closed: then the read ahead throws. */
  #drained(): Promise<void> {
    const socket = this.#socket;
    return new Promise((resolve) => {
      if (socket.destroyed || !socket.writableNeedDrain) {
        resolve();
        return;
      }
      const done = (): void => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.on('drain', done);
      socket.on('close', done);
    });
  }

  #onTimeout(): void {
    // A source that is slow is not the reader's fault.
    if (this.#serving && this.#socket.writableLength === 0) {
      this.#socket.setTimeout(this.#options.stallMs);
      return;
    }
    const { stallMs, log } = this.#options;
    if (this.#serving) log.warn({ peer: this.#peer, stallMs }, 'a reader takes nothing any more');
    this.#socket.destroy();
  }
}
