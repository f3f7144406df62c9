import { connect, constants } from 'node:http2';
import type { ClientHttp2Session } from 'node:http2';

const FRAME_HEADER_BYTES = 5;
const TIMEOUT = '20S';

/**
 * Callers of a unary gRPC method with one and the same request, over bare HTTP/2: what they ask is encoded once and what is answered is not decoded, so
 * that they leave the machine to the one they ask.
 */
export class Callers implements Disposable {
  readonly #sessions: readonly ClientHttp2Session[];
  readonly #path: string;
  #next = 0;

  /** `method`: `package.Service/Method`. Connections are shared by all callers, in turn over the addresses. */
  constructor(addresses: readonly string[], method: string, connections: number) {
    this.#path = `/${method}`;
    this.#sessions = Array.from({ length: connections }, (_, at) =>
      connect(`http://${addresses[at % addresses.length] ?? ''}`, {
        settings: { initialWindowSize: 4 * 1024 ** 2 },
      }),
    );
  }

  /** One call; resolves when it has ended well. */
  call(request: Uint8Array): Promise<void> {
    const session = this.#sessions[this.#next++ % this.#sessions.length];
    if (!session) throw new Error('there are no connections');
    return new Promise((resolve, reject) => {
      const stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: 'POST',
        [constants.HTTP2_HEADER_PATH]: this.#path,
        [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
        [constants.HTTP2_HEADER_TE]: 'trailers',
        'grpc-timeout': TIMEOUT,
      });
      let status: unknown;
      const note = (headers: Readonly<Record<string, unknown>>): void => {
        status ??= headers['grpc-status'];
      };
      stream.on('response', note).on('trailers', note).on('error', reject);
      stream.on('end', () => {
        if (status === '0') resolve();
        else reject(new Error(`the call ended with status ${String(status)}`));
      });
      stream.resume();
      stream.end(request);
    });
  }

  /** Calls of so many callers, one after the other each, for so long; returns how many a second. */
  async ratePerSecond(request: Uint8Array, callers: number, durationMs: number): Promise<number> {
    let calls = 0;
    const startedAt = performance.now();
    const until = startedAt + durationMs;
    const caller = async (): Promise<void> => {
      while (performance.now() < until) {
        await this.call(request);
        calls++;
      }
    };
    await Promise.all(Array.from({ length: callers }, caller));
    return calls / ((performance.now() - startedAt) / 1000);
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.destroy();
  }
}

/** A message as gRPC frames it. */
export function framed(message: Uint8Array): Uint8Array {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + message.length);
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, FRAME_HEADER_BYTES);
  return frame;
}
