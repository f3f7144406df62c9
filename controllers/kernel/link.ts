import { status } from '@grpc/grpc-js';

import type { Frame, Hello, Invocation } from '../../protos/gen/fractory/v1/controller.js';
import { fromRpcStatus, toRpcStatus } from '../../protos/status.js';
import { sizeOf } from '../../protos/values.js';
import { FractoryError } from '../../runtime/errors.js';

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
  /** The link is gone; everything pending has been settled. Called once. */
  lost(cause: FractoryError): void;
}

/** Called once, when an invocation was admitted (no error) or won't be. */
export type Settle = (error?: FractoryError) => void;

/** Frames that wait while the stream is full; past it new invocations are refused. */
const MAX_WAITING_FRAMES = 8192;
/** Payload of one message; frames beyond go into the next. */
const MAX_BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Invocations and admissions between two controllers over one stream, in both directions. Frames that become ready in the same turn of the
 * event loop travel as one message: the admission of a hop and the invocation of the next share it.
 */
export class Link {
  readonly #pipe: FramePipe;
  readonly #events: LinkEvents;
  readonly #pending = new Map<bigint, Settle>();
  #nextId = 1n;
  #frames: Frame[] = [];
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

  get isLost(): boolean {
    return this.#lost !== undefined;
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
    if (this.#frames.length >= MAX_WAITING_FRAMES) {
      settle(
        new FractoryError(
          status.RESOURCE_EXHAUSTED,
          'LINK_BUSY',
          `${String(this.#frames.length)} frames wait on the link, its limit`,
          {
            retryAfterMs: 50,
          },
        ),
      );
      return;
    }
    invocation.id = this.#nextId++;
    this.#pending.set(invocation.id, settle);
    this.#push({ body: { $case: 'invocation', value: invocation } });
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
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const settle of pending) settle(cause);
    this.#events.lost(cause);
  }

  #settle(id: bigint, error?: FractoryError): void {
    const settle = this.#pending.get(id);
    this.#pending.delete(id);
    settle?.(error);
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
      return all;
    }
    return this.#frames.splice(0, count);
  }
}

function payloadBytes({ body }: Frame): number {
  if (body?.$case !== 'invocation') return 0;
  let bytes = 0;
  for (const argument of body.value.arguments) bytes += sizeOf(argument.value);
  for (const next of body.value.onSuccess) bytes += next.length;
  return bytes;
}
