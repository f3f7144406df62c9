import type { ServerHttp2Stream } from 'node:http2';

import { status } from '@grpc/grpc-js';
import type { ServerInterceptor, StatusObject } from '@grpc/grpc-js';

import { deadlineExceeded, FractoryError, limitExceeded } from './errors.js';

/** What the calls of one server may take together. */
export interface CallLimits {
  /** Calls open at a time, half-open ones too. */
  readonly max_open_calls: number;
  /** Bytes that calls hold at a time because they wait: messages half received or not yet read, answers not yet taken. */
  readonly max_transit_bytes: number;
  /** How long a call that names no deadline may take to bring its request, and any without taking more of its answer, ms. */
  readonly default_budget_ms: number;
  /** How long a call that names a deadline may take to bring its request at most, ms. */
  readonly max_budget_ms: number;
}

/** An error as gRPC sends it. */
export type ToStatus = (error: FractoryError) => StatusObject;

/** What grpc-js says of requests that are wrong, by the beginning of its text: it takes them for bugs of the server. */
const BAD_REQUESTS: readonly (readonly [text: string, reason: string, message: string])[] = [
  ['Error deserializing request', 'MALFORMED_MESSAGE', 'the request is no message of its type'],
  [
    'Failed to decompress message',
    'MALFORMED_COMPRESSION',
    'the request is not compressed as it says',
  ],
  [
    'Invalid grpc-timeout value',
    'MALFORMED_TIMEOUT',
    'the grpc-timeout of the call is not readable',
  ],
];
const TOO_LARGE = /^Received message larger than max \((\d+) vs\.? (\d+)\)/;
const RETRY_MS = 500;
const LOOK_MS = 250;
/** What a piece of a message costs beside its bytes. */
const PIECE_BYTES = 256;

/** The parts of a call of grpc-js that are looked at; all but the first are private, and without them a call is only counted. */
interface InnerCall {
  sendStatus(status: Partial<StatusObject>): void;
  getDeadline(): Date | number;
  readonly stream?: ServerHttp2Stream;
  /** What a compressed message may be. */
  maxReceiveMessageSize?: number;
  decoder?: {
    maxReadMessageLength?: number;
    write(bytes: Buffer): Buffer[];
    readonly readMessageSize?: number;
    readonly readMessageRemaining?: number;
    readonly readPartialMessage?: readonly unknown[];
  };
}

/**
 * Watches over the calls of one server, before any handler sees them: bad bytes are the caller's fault and not INTERNAL; a caller that neither sends on
 * nor takes its answer is cut off; what waits in memory is bounded over all calls, and those that hold most go first.
 */
export class CallGuard {
  readonly #limits: CallLimits;
  readonly #toStatus: ToStatus;
  readonly #maxRequestBytes: ((path: string) => number) | undefined;
  readonly #calls = new Set<GuardedCall>();
  #looking: NodeJS.Timeout | undefined;

  /** `maxRequestBytes`: largest message of a method, by its path; default: what the server's options say. */
  constructor(limits: CallLimits, toStatus: ToStatus, maxRequestBytes?: (path: string) => number) {
    this.#limits = limits;
    this.#toStatus = toStatus;
    this.#maxRequestBytes = maxRequestBytes;
  }

  /** Calls that are open. */
  get open(): number {
    return this.#calls.size;
  }

  /** For the `interceptors` of a server. */
  readonly interceptor: ServerInterceptor = ({ path }, call) => {
    const inner = call as unknown as InnerCall;
    const most = this.#maxRequestBytes?.(path);
    if (most !== undefined && inner.decoder) {
      inner.decoder.maxReadMessageLength = most;
      inner.maxReceiveMessageSize = most;
    }
    this.#watch(inner);
    // The interface says the same as the class; nobody asks for more.
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment
    return call as ReturnType<ServerInterceptor>;
  };

  #watch(inner: InnerCall): void {
    const call = new GuardedCall(inner, this.#toStatus);
    const { stream } = inner;
    if (!stream) return;
    const most = this.#limits.max_open_calls;
    if (this.#calls.size >= most)
      call.fail(
        limitExceeded('max_open_calls', this.#calls.size + 1, most, {
          ...{ what: 'the number of open calls', retryAfterMs: RETRY_MS },
        }),
      );
    this.#calls.add(call);
    stream.once('close', () => {
      this.#calls.delete(call);
    });
    this.#looking ??= setInterval(() => {
      this.#look();
    }, LOOK_MS).unref();
  }

  /** Ends what has waited for too long, and as much as is too much. */
  #look(): void {
    const nowMs = performance.now();
    let heldBytes = 0;
    for (const call of this.#calls) {
      call.endIfLate(nowMs, this.#limits);
      heldBytes += call.heldBytes;
    }
    if (heldBytes > this.#limits.max_transit_bytes) this.#shed(heldBytes);
    if (this.#calls.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
  }

  #shed(heldBytes: number): void {
    const most = this.#limits.max_transit_bytes;
    const sized = [...this.#calls].map((call) => ({ call, bytes: call.heldBytes }));
    sized.sort((one, other) => other.bytes - one.bytes);
    let left = heldBytes;
    for (const { call, bytes } of sized) {
      if (left <= most) return;
      call.cut(
        limitExceeded('max_transit_bytes', heldBytes, most, {
          ...{ what: 'what calls hold while they wait', retryAfterMs: RETRY_MS },
        }),
      );
      left -= bytes;
    }
  }
}

/** One call from its headers until its stream is closed. */
class GuardedCall {
  readonly #inner: InnerCall;
  readonly #toStatus: ToStatus;
  readonly #sendStatus: InnerCall['sendStatus'];
  /** Since when it waits for its request or, once answered, for the caller to take the answer; undefined while neither is so. */
  #waitsSinceMs: number | undefined = performance.now();
  #isAnswered = false;
  /** Bytes of the answer, as they were when somebody looked. */
  #untaken = 0;

  constructor(inner: InnerCall, toStatus: ToStatus) {
    this.#inner = inner;
    this.#toStatus = toStatus;
    this.#sendStatus = inner.sendStatus.bind(inner);
    inner.sendStatus = (sent) => {
      this.#answer(this.#mended(sent));
    };
    const { decoder } = inner;
    if (typeof decoder?.write !== 'function') return;
    const write = decoder.write.bind(decoder);
    decoder.write = (bytes) => {
      const messages = write(bytes);
      if (messages.length > 0 && !this.#isAnswered) this.#waitsSinceMs = undefined;
      return messages;
    };
  }

  /** What it keeps in memory while somebody waits. */
  get heldBytes(): number {
    const { stream, decoder } = this.#inner;
    const whole = decoder?.readMessageSize ?? 0;
    const pieces = decoder?.readPartialMessage?.length ?? 0;
    const partial = pieces > 0 ? whole - (decoder?.readMessageRemaining ?? 0) : 0;
    const waiting = (stream?.readableLength ?? 0) + (stream?.writableLength ?? 0);
    return partial + (partial > 0 ? pieces * PIECE_BYTES : 0) + waiting;
  }

  /** Ends the call with an error. */
  fail(error: FractoryError): void {
    this.#answer(this.#toStatus(error));
  }

  /** Ends the call whether or not the caller hears of it. */
  cut(error: FractoryError): void {
    this.fail(error);
    this.#inner.stream?.close(RESET_CODE);
  }

  endIfLate(nowMs: number, limits: CallLimits): void {
    if (this.#isAnswered) this.#noteProgress(nowMs);
    if (this.#waitsSinceMs === undefined) return;
    const isBounded = !this.#isAnswered && this.#inner.getDeadline() !== Infinity;
    const budgetMs = isBounded ? limits.max_budget_ms : limits.default_budget_ms;
    if (nowMs - this.#waitsSinceMs < budgetMs) return;
    if (this.#isAnswered) this.#inner.stream?.close(RESET_CODE);
    else this.fail(deadlineExceeded(`no request came within ${String(budgetMs)} ms`));
  }

  /** Whoever takes an answer slowly takes it. */
  #noteProgress(nowMs: number): void {
    const untaken = this.#inner.stream?.writableLength ?? 0;
    if (untaken < this.#untaken) this.#waitsSinceMs = nowMs;
    this.#untaken = untaken;
  }

  #answer(sent: Partial<StatusObject>): void {
    this.#isAnswered = true;
    this.#waitsSinceMs = performance.now();
    this.#sendStatus(sent);
    // What has come of a message is of no use any more, and its caller may stay for long.
    const { decoder } = this.#inner;
    if (decoder) this.#inner.decoder = { write: () => [] };
  }

  #mended(sent: Partial<StatusObject>): Partial<StatusObject> {
    const tooLarge = TOO_LARGE.exec(sent.details ?? '');
    if (sent.code === status.RESOURCE_EXHAUSTED && tooLarge) {
      const [, bytes = '', most = ''] = tooLarge;
      const what = 'the size of the message, bytes,';
      return this.#toStatus(limitExceeded('max_request_bytes', bytes, most, { what }));
    }
    if (sent.code !== status.INTERNAL) return sent;
    const known = BAD_REQUESTS.find(([text]) => sent.details?.startsWith(text));
    if (!known) return sent;
    const [, reason, message] = known;
    return this.#toStatus(new FractoryError(status.INVALID_ARGUMENT, reason, message));
  }
}

/** CANCEL (RFC 9113, 7). */
const RESET_CODE = 8;
