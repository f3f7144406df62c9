import { status } from '@grpc/grpc-js';

import type {
  Frame,
  Hello,
  Invocation,
  Leaving,
  Release,
} from '../../protos/gen/fractory/v1/controller.js';
import { fromRpcStatus, toRpcStatus } from '../../protos/status.js';
import { sizeOf } from '../../protos/values.js';
import { FractoryError } from '../../runtime/errors.js';
import { Pending } from './pending.js';

/** One end of a bidirectional stream, as client and server streams both offer it. */
export interface FramePipe {
  /** False: wait for `drained` before writing more. */
  write(frames: Frame[]): boolean;
  /** Ends the stream; nothing arrives afterwards. */
  end(): void;
}

export interface LinkEvents {
  /** The other end has said who it is. */
  hello(hello: Hello): void;
  /** An invocation arrived: answer with `admit` or `refuse`. */
  invocation(invocation: Invocation): void;
  /** The other end's runs need steps of this node no more. */
  release(release: Release): void;
  /** The other end leaves the data center, and finishes what it has begun. */
  leaving(leaving: Leaving): void;
  /** The link is gone; everything pending has been settled. Called once. */
  lost(cause: FractoryError): void;
}

/** Called once, when an invocation was admitted (no error) or won't be. */
export type Settle = (error?: FractoryError) => void;

/** Frames that wait while the stream is full; past it new invocations are refused. */
const MAX_WAITING_FRAMES = 8192;
/** Payload of the invocations among them; the other end may have stopped to read. */
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** Payload of one message; frames beyond go into the next. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Invocations and admissions between two controllers over one stream, in both directions. Frames that become ready in the same turn of the
 * event loop travel as one message: the admission of a hop and the invocation of the next share it.
 */
export class Link {
  readonly #pipe: FramePipe;
  readonly #events: LinkEvents;
  readonly #pending = new Pending<Settle>();
  #frames: Frame[] = [];
  /** Payload of the invocations that came since the stream is full. */
  #waitingBytes = 0;
  #admitted: bigint[] = [];
  #flushScheduled = false;
  #flushedThisTurn = false;
  #writable = true;
  #lost: FractoryError | undefined;

  constructor(pipe: FramePipe, events: LinkEvents, hello: Hello) {
    this.#pipe = pipe;
    this.#events = events;
    this.#push({ body: { $case: 'hello', value: hello } });
  }

  /** Invocations that are neither admitted nor refused yet. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Sends an invocation; `settle` hears whether the other end admitted it. Numbers the invocation. */
  invoke(invocation: Invocation, settle: Settle): void {
    if (this.#lost) {
      settle(this.#lost);
      return;
    }
    if (this.#frames.length >= MAX_WAITING_FRAMES || this.#waitingBytes >= MAX_WAITING_BYTES) {
      settle(this.#busy());
      return;
    }
    invocation.id = BigInt(this.#pending.add(settle));
    const frame: Frame = { body: { $case: 'invocation', value: invocation } };
    if (!this.#writable) this.#waitingBytes += payloadBytes(frame);
    this.#push(frame);
  }

  /** Tells that runs need steps of the other end no more; nobody answers. */
  release(release: Release): void {
    this.#push({ body: { $case: 'release', value: release } });
  }

  /** Tells that this end leaves the data center, and finishes what it has begun. */
  leave(leaving: Leaving): void {
    this.#push({ body: { $case: 'leaving', value: leaving } });
  }

  admit(id: bigint): void {
    this.#admitted.push(id);
    this.#schedule();
  }

  refuse(id: bigint, error: unknown): void {
    this.#push({ body: { $case: 'refusal', value: { id, status: toRpcStatus(error) } } });
  }

  /** Takes what arrived in one message; nothing after the loss. */
  receive(frames: readonly Frame[]): void {
    for (const { body } of frames) {
      if (this.#lost) return;
      if (body?.$case === 'invocation') this.#events.invocation(body.value);
      else if (body?.$case === 'admissions') for (const id of body.value.ids) this.#settle(id);
      else if (body?.$case === 'refusal')
        this.#settle(body.value.id, fromRpcStatus(body.value.status ?? toRpcStatus(undefined)));
      else if (body?.$case === 'release') this.#events.release(body.value);
      else if (body?.$case === 'leaving') this.#events.leaving(body.value);
      else if (body?.$case === 'hello') this.#events.hello(body.value);
    }
  }

  /** The stream takes more again. */
  drained(): void {
    this.#writable = true;
    if (this.#frames.length > 0 || this.#admitted.length > 0) this.#schedule();
  }

  /** Ends the link: all that is pending fails with `cause`. Idempotent. */
  lose(cause: FractoryError): void {
    if (this.#lost) return;
    this.#lost = cause;
    this.#frames = [];
    this.#admitted = [];
    this.#pipe.end();
    for (const settle of this.#pending.takeAll()) settle(cause);
    this.#events.lost(cause);
  }

  #busy(): FractoryError {
    const waiting = `${String(this.#frames.length)} frames with ${String(this.#waitingBytes)} bytes`;
    const text = `${waiting} wait on the link, whose other end reads too slowly`;
    return new FractoryError(status.RESOURCE_EXHAUSTED, 'LINK_BUSY', text, { retryAfterMs: 50 });
  }

  #settle(id: bigint, error?: FractoryError): void {
    this.#pending.take(Number(id))?.(error);
  }

  #push(frame: Frame): void {
    if (this.#lost) return;
    this.#frames.push(frame);
    this.#schedule();
  }

  /**
   * The first flush of a turn of the event loop comes as soon as the present callback has ended: lowest latency. What becomes
   * ready later in the same turn waits for its end and travels together.
   */
  #schedule(): void {
    if (this.#flushScheduled || !this.#writable || this.#lost) return;
    this.#flushScheduled = true;
    if (this.#flushedThisTurn) return;
    this.#flushedThisTurn = true;
    queueMicrotask(() => {
      this.#flushScheduled = false;
      this.#flush();
    });
    setImmediate(() => {
      this.#flushedThisTurn = false;
      if (!this.#flushScheduled) return;
      this.#flushScheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (!this.#lost && this.#writable) {
      if (this.#admitted.length > 0) {
        this.#frames.push({ body: { $case: 'admissions', value: { ids: this.#admitted } } });
        this.#admitted = [];
      }
      if (this.#frames.length === 0) return;
      this.#writable = this.#pipe.write(this.#takeBatch());
    }
  }

  #takeBatch(): Frame[] {
    let bytes = 0;
    let count = 0;
    for (const frame of this.#frames) {
      bytes += payloadBytes(frame);
      if (count > 0 && bytes > MAX_BATCH_BYTES) break;
      count++;
    }
    if (count === this.#frames.length) {
      const all = this.#frames;
      this.#frames = [];
      this.#waitingBytes = 0;
      return all;
    }
    this.#waitingBytes = Math.max(0, this.#waitingBytes - bytes);
    return this.#frames.splice(0, count);
  }
}

/** About what a frame weighs: everything in it that may be large. */
function payloadBytes({ body }: Frame): number {
  if (body?.$case !== 'invocation') return 0;
  const { arguments: args, onSuccess, onFailure, shared, receipts, capability } = body.value;
  let bytes = lengthOf(onSuccess) + lengthOf(onFailure) + lengthOf(shared) + lengthOf(receipts);
  for (const argument of args) bytes += sizeOf(argument.value);
  return capability ? bytes + lengthOf(capability.caveats) : bytes;
}

function lengthOf(parts: readonly Uint8Array[]): number {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  return bytes;
}
