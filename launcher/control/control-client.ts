import { credentials, Metadata } from '@grpc/grpc-js';

import { LauncherServiceClient } from '../../protos/gen/fractory/v1/launcher.js';
import type {
  LauncherProcess,
  LauncherServiceDrainRequest,
  LauncherServiceDrainResponse,
  ListProcessesResponse,
  RestartRequest,
  RestartResponse,
} from '../../protos/gen/fractory/v1/launcher.js';
import { toFractoryError } from '../../protos/status.js';
import { cancelled } from '../../runtime/errors.js';

const LIST_TIMEOUT_MS = 2000;

/** Talks to the launcher of a data center over its socket. Dispose it. */
export class ControlClient implements Disposable {
  readonly #client: LauncherServiceClient;

  /** `socket`: path, as the run file has it. */
  constructor(socket: string) {
    this.#client = new LauncherServiceClient(`unix:${socket}`, credentials.createInsecure());
  }

  async listProcesses(): Promise<readonly LauncherProcess[]> {
    const deadline = Date.now() + LIST_TIMEOUT_MS;
    const { processes } = await settled<ListProcessesResponse>((done) =>
      this.#client.listProcesses({}, new Metadata(), { deadline }, done),
    );
    return processes;
  }

  drain(
    request: LauncherServiceDrainRequest,
    timeoutMs: number,
  ): Promise<LauncherServiceDrainResponse> {
    const deadline = Date.now() + timeoutMs;
    return settled((done) => this.#client.drain(request, new Metadata(), { deadline }, done));
  }

  /** Yields what happens until all are restarted. An abort lets the restart under way finish at the launcher, and begins no other. */
  async *restart(
    request: RestartRequest,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): AsyncGenerator<RestartResponse, void> {
    const stream = this.#client.restart(request, new Metadata(), {
      deadline: Date.now() + timeoutMs,
    });
    const cancel = (): void => {
      stream.cancel();
    };
    signal.addEventListener('abort', cancel, { once: true });
    try {
      for await (const step of stream as AsyncIterable<RestartResponse>) yield step;
    } catch (error) {
      throw signal.aborted
        ? cancelled('stopped: the launcher finishes the restart under way and begins no other')
        : toFractoryError(error);
    } finally {
      signal.removeEventListener('abort', cancel);
      stream.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function settled<R>(
  start: (done: (error: Error | null, answer: R) => void) => unknown,
): Promise<R> {
  return new Promise((resolve, reject) => {
    start((error, answer) => {
      if (error) reject(toFractoryError(error));
      else resolve(answer);
    });
  });
}
