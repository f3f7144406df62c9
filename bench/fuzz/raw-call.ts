import { connect } from 'node:http2';
import type { ClientHttp2Session, ClientHttp2Stream, OutgoingHttpHeaders } from 'node:http2';

import { sleep } from '../../runtime/deadline.js';

/** One thing that a caller does. */
export type CallStep =
  /** A message with the right header before it. */
  | { readonly message: Uint8Array }
  /** Bytes as they are. */
  | { readonly bytes: Uint8Array }
  | { readonly waitMs: number }
  /** Half-closes. */
  | { readonly end: true }
  /** Resets the stream. */
  | { readonly cancel: number };

export interface CallScript {
  readonly steps: readonly CallStep[];
  readonly headers?: OutgoingHttpHeaders;
  /** How long the caller waits for a status after its last step, ms; then it resets the stream. */
  readonly timeoutMs: number;
}

/** How a call ended. */
export interface Outcome {
  /** gRPC status; undefined where none came. */
  readonly code: number | undefined;
  readonly message: string;
  /** `grpc-status-details-bin`, decoded from base64. */
  readonly details: Buffer;
  readonly httpStatus: number | undefined;
  readonly messages: readonly Uint8Array[];
  /** Whether the caller gave up waiting. */
  readonly timedOut: boolean;
}

/** Answers beyond this are not read to their end, bytes. */
const MAX_ANSWER_BYTES = 4 * 1024 ** 2;
const CANCEL = 8;

/** An HTTP/2 connection that speaks gRPC only as far as its caller wants. Reconnects when it was cut off. */
export class RawSession implements Disposable {
  readonly #address: string;
  #session: ClientHttp2Session | undefined;

  constructor(address: string) {
    this.#address = address;
  }

  [Symbol.dispose](): void {
    this.#session?.destroy();
  }

  async call(path: string, script: CallScript): Promise<Outcome> {
    const stream = this.#open().request({
      ...{ ':method': 'POST', ':path': path, te: 'trailers' },
      ...{ 'content-type': 'application/grpc', ...script.headers },
    });
    const answer = new Answer(stream);
    await take(stream, script.steps, answer);
    await Promise.race([
      answer.ended,
      sleep(script.timeoutMs, answer.signal).catch(() => undefined),
    ]);
    const timedOut = !answer.signal.aborted;
    if (timedOut) stream.close(CANCEL);
    return answer.outcome(timedOut);
  }

  #open(): ClientHttp2Session {
    const known = this.#session;
    if (known && !known.closed && !known.destroyed) return known;
    known?.destroy();
    const session = connect(`http://${this.#address}`, { maxSessionMemory: 1000 });
    session.on('error', () => {
      session.destroy();
    });
    session.on('goaway', () => {
      session.close();
    });
    this.#session = session;
    return session;
  }
}

async function take(
  stream: ClientHttp2Stream,
  steps: readonly CallStep[],
  answer: Answer,
): Promise<void> {
  for (const step of steps) {
    if (stream.destroyed) return;
    if ('waitMs' in step) await sleep(step.waitMs, answer.signal).catch(() => undefined);
    else if ('cancel' in step) stream.close(step.cancel);
    else if ('end' in step) stream.end();
    else if (!stream.writableEnded) {
      const taken = stream.write('bytes' in step ? step.bytes : framed(step.message));
      if (!taken) await drained(stream, answer);
    }
  }
}

/** How long somebody who sends waits until more is taken, ms. */
const PATIENCE_MS = 500;

/** Resolves when the stream takes more, has ended, or after a moment. */
function drained(stream: ClientHttp2Stream, { signal }: Answer): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(late);
      stream.off('drain', done);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const late = setTimeout(done, PATIENCE_MS);
    stream.once('drain', done);
    signal.addEventListener('abort', done, { once: true });
  });
}

/** The five bytes of gRPC before a message. */
export function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const header = Buffer.alloc(5);
  header[0] = flag;
  header.writeUInt32BE(length, 1);
  return Buffer.concat([header, message]);
}

class Answer {
  readonly ended: Promise<void>;
  readonly #ending = new AbortController();
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #headers: Record<string, string | number | undefined> = {};

  constructor(stream: ClientHttp2Stream) {
    const take = (headers: object): void => {
      this.#headers = { ...this.#headers, ...headers };
    };
    stream.on('response', take);
    stream.on('trailers', take);
    stream.on('data', (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (this.#bytes <= MAX_ANSWER_BYTES) this.#chunks.push(chunk);
      else stream.close(CANCEL);
    });
    stream.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      stream.once('close', () => {
        this.#ending.abort();
        resolve();
      });
      stream.once('end', () => {
        // Trailers come before the end; whoever still sends is half-open from here on.
        setImmediate(() => {
          this.#ending.abort();
          resolve();
        });
      });
    });
  }

  /** Aborts at the end of the answer. */
  get signal(): AbortSignal {
    return this.#ending.signal;
  }

  outcome(timedOut: boolean): Outcome {
    const code = this.#headers['grpc-status'];
    const http = this.#headers[':status'];
    return {
      code: code === undefined ? undefined : Number(code),
      message: decoded(String(this.#headers['grpc-message'] ?? '')),
      details: Buffer.from(String(this.#headers['grpc-status-details-bin'] ?? ''), 'base64'),
      httpStatus: http === undefined ? undefined : Number(http),
      messages: unframed(Buffer.concat(this.#chunks)),
      timedOut,
    };
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function unframed(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = [];
  for (let at = 0; at + 5 <= bytes.length;) {
    const end = at + 5 + bytes.readUInt32BE(at + 1);
    messages.push(bytes.subarray(at + 5, end));
    at = end;
  }
  return messages;
}
