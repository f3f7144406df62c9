import { Server, ServerCredentials } from '@grpc/grpc-js';
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';

import { LauncherServiceService } from '../../protos/gen/fractory/v1/launcher.js';
import type {
  LauncherServiceDrainRequest,
  LauncherServiceDrainResponse,
  LauncherServiceServer,
  ListProcessesRequest,
  ListProcessesResponse,
  RestartRequest,
  RestartResponse,
} from '../../protos/gen/fractory/v1/launcher.js';
import { toStatus } from '../../protos/status.js';
import { unavailable } from '../../runtime/errors.js';
import type { LauncherControl } from './launcher-service.js';
import { socketPlace } from './socket-path.js';
import type { SocketPlace } from './socket-path.js';

/** Only whoever started the launcher may connect. */
const FOR_OWNER_ALONE = 0o177;

/** `LauncherService` on a unix socket. Refuses with UNAVAILABLE until it is told who answers. */
export class ControlServer implements AsyncDisposable {
  readonly #server = new Server();
  #place: SocketPlace | undefined;
  #control: LauncherControl | undefined;

  /** Resolves with the path of the socket. To be called before anything else makes files: the mask of new files is narrowed meanwhile. */
  async start(statePath: string): Promise<string> {
    const place = await socketPlace(statePath);
    this.#place = place;
    this.#server.addService(LauncherServiceService, this.#handlers());
    const mask = process.umask(FOR_OWNER_ALONE);
    try {
      await this.#bind(place.file);
    } finally {
      process.umask(mask);
    }
    return place.file;
  }

  /** From now on `control` answers. */
  serve(control: LauncherControl): void {
    this.#control = control;
  }

  /** Cuts off whoever is connected. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.forceShutdown();
    await this.#place?.remove();
  }

  #bind(file: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(`unix:${file}`, ServerCredentials.createInsecure(), (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  }

  get #ready(): LauncherControl {
    if (this.#control) return this.#control;
    throw unavailable('LAUNCHER_STARTING', 'the data center is starting');
  }

  #handlers(): LauncherServiceServer {
    const restart: handleServerStreamingCall<RestartRequest, RestartResponse> = (call) => {
      void this.#restart(call);
    };
    const drain: handleUnaryCall<LauncherServiceDrainRequest, LauncherServiceDrainResponse> = (
      { request },
      callback,
    ) => {
      answer(callback, () => this.#ready.drain(request));
    };
    const listProcesses: handleUnaryCall<ListProcessesRequest, ListProcessesResponse> = (
      _call,
      callback,
    ) => {
      answer(callback, () => Promise.resolve(this.#ready.listProcesses()));
    };
    return { restart, drain, listProcesses };
  }

  async #restart(call: ServerWritableStream<RestartRequest, RestartResponse>): Promise<void> {
    const gone = new AbortController();
    call.on('cancelled', () => {
      gone.abort();
    });
    try {
      for await (const step of this.#ready.restart(call.request, gone.signal)) call.write(step);
      call.end();
    } catch (error) {
      call.emit('error', toStatus(error));
    }
  }
}

function answer<R>(
  callback: (error: ReturnType<typeof toStatus> | null, response?: R) => void,
  work: () => Promise<R>,
): void {
  Promise.resolve()
    .then(work)
    .then(
      (response) => {
        callback(null, response);
      },
      (error: unknown) => {
        callback(toStatus(error));
      },
    );
}
