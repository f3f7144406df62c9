import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { Client, credentials } from '@grpc/grpc-js';

const same = (bytes: Buffer): Buffer => bytes;

/** Bytes in, the same bytes out; no serialization on top of gRPC's own framing. */
export const ECHO_METHOD = {
  path: '/fractory.bench.Echo/Echo',
  requestStream: false as const,
  responseStream: false as const,
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
};

/** A bare unary echo in another process. */
export class Echo implements AsyncDisposable {
  readonly #client: Client;
  readonly #child;

  private constructor(child: ReturnType<typeof spawn>, port: number) {
    this.#child = child;
    this.#client = new Client(`127.0.0.1:${String(port)}`, credentials.createInsecure());
  }

  static async start(): Promise<Echo> {
    const script = fileURLToPath(new URL('./echo-server.js', import.meta.url));
    const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    return new Echo(child, Number(line.toString()));
  }

  call(payload: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(ECHO_METHOD.path, same, same, payload, (error, response) => {
        if (error || !response) reject(error ?? new Error('no response'));
        else resolve(response);
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.close();
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }
}
