import { once } from 'node:events';

import { status } from '@grpc/grpc-js';

import type { SecurityConfig } from '../../config/node-config.js';
import {
  CnnServiceClient,
  type TrainRequest,
  type TrainResponse,
  type UploadDataSetResponse,
} from '../../protos/gen/fractory/v1/cnn.js';
import { ControllerServiceClient } from '../../protos/gen/fractory/v1/controller.js';
import { toFractoryError } from '../../protos/status.js';
import { AbortScope } from '../../runtime/abort-scope.js';
import { ChannelPool } from '../../runtime/channels.js';
import { unavailable } from '../../runtime/errors.js';
import type { FractoryError } from '../../runtime/errors.js';
import { channelCredentialsOf, metadataOf } from '../client-credentials.js';
import { HealthProbe } from '../health-probe.js';

export interface TrainingNodeOptions {
  readonly id: string;
  readonly address: string;
  readonly security: SecurityConfig;
}

/** Longest upload, ms. */
const UPLOAD_TIMEOUT_MS = 600_000;
const DESCRIBE_TIMEOUT_MS = 10_000;
/** For a node that doesn't tell its limit: it tells of each file itself. */
const MAX_IMAGE_BYTES = 1024 ** 3;
/** A node that says nothing for so long is asked whether it lives. */
const SILENCE_MS = 10_000;
const PROBE_TIMEOUT_MS = 5000;

/** The node that trains, seen from the launcher. Owns its connections: dispose it. */
export class TrainingNode implements Disposable {
  readonly #options: TrainingNodeOptions;
  readonly #channels: ChannelPool;
  readonly #probe: HealthProbe;

  constructor(options: TrainingNodeOptions) {
    this.#options = options;
    this.#channels = new ChannelPool({ credentials: channelCredentialsOf(options.security) });
    this.#probe = new HealthProbe(options.security);
  }

  /** Largest picture that the node takes. */
  maxImageBytes(signal: AbortSignal): Promise<number> {
    return new Promise((resolve, reject) => {
      const client = this.#channels.client(ControllerServiceClient, this.#options.address);
      const deadline = Date.now() + DESCRIBE_TIMEOUT_MS;
      const call = client.describe({}, this.#metadata(), { deadline }, (error, described) => {
        signal.removeEventListener('abort', cancel);
        if (error) reject(this.#failure(error));
        else resolve(Number(described.limits['max_image_bytes'] ?? MAX_IMAGE_BYTES));
      });
      const cancel = (): void => {
        call.cancel();
      };
      signal.addEventListener('abort', cancel, { once: true });
    });
  }

  /** Sends a tar as fast as the node takes it; returns what `train` calls it. */
  async upload(
    chunks: AsyncIterable<Uint8Array>,
    { signal, onSent }: { readonly signal: AbortSignal; readonly onSent: (bytes: number) => void },
  ): Promise<string> {
    const scope = new AbortScope(signal);
    let answer: UploadDataSetResponse | undefined;
    const ended = new Promise<void>((resolve, reject) => {
      const deadline = Date.now() + UPLOAD_TIMEOUT_MS;
      const stream = this.#client().uploadDataSet(
        this.#metadata(),
        { deadline },
        (error, found) => {
          answer = found;
          if (error) reject(this.#failure(error));
          else resolve();
          scope.abort(error);
        },
      );
      scope.signal.addEventListener('abort', () => {
        stream.cancel();
      });
      // The call's end says what was wrong.
      stream.on('error', () => undefined);
      const send = async (): Promise<void> => {
        let sent = 0;
        for await (const chunk of chunks) {
          if (scope.signal.aborted) return;
          if (!stream.write({ chunk })) await once(stream, 'drain', { signal: scope.signal });
          onSent((sent += chunk.length));
        }
        stream.end();
      };
      send().catch((error: unknown) => {
        if (scope.signal.aborted) return;
        stream.cancel();
        reject(error instanceof Error ? error : new Error(String(error)));
      });
    });
    try {
      await ended;
      return answer?.dataSet ?? '';
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      scope.end();
    }
  }

  /** What the node tells, until the training ends. An abort of `signal` ends the training, as losing this stream does. */
  async *train(request: TrainRequest, signal: AbortSignal): AsyncGenerator<TrainResponse, void> {
    const stream = this.#client().train(request, this.#metadata());
    const scope = new AbortScope(signal);
    scope.signal.addEventListener('abort', () => {
      stream.cancel();
    });
    const watch = new SilenceWatch(SILENCE_MS, async () => {
      const state = await this.#probe.check(this.#options.address, PROBE_TIMEOUT_MS);
      if (state === 'UNREACHABLE') scope.abort(this.#lost('it does not answer'));
    });
    try {
      for await (const message of stream as AsyncIterable<TrainResponse>) {
        watch.heard();
        yield message;
      }
    } catch (error) {
      if (scope.signal.aborted) throw scope.signal.reason;
      throw this.#failure(error);
    } finally {
      watch[Symbol.dispose]();
      scope.end();
      stream.cancel();
    }
  }

  [Symbol.dispose](): void {
    this.#channels.close();
    this.#probe.close();
  }

  #client(): CnnServiceClient {
    return this.#channels.client(CnnServiceClient, this.#options.address);
  }

  #metadata(): ReturnType<typeof metadataOf> {
    return metadataOf(this.#options.security);
  }

  #failure(thrown: unknown): FractoryError {
    const error = toFractoryError(thrown);
    // A node that goes in order says so itself.
    if (error.code !== status.UNAVAILABLE || error.reason === 'NODE_STOPPING') return error;
    return this.#lost(error.message);
  }

  #lost(why: string): FractoryError {
    return unavailable('NODE_LOST', `the node ${this.#options.id} is lost: ${why}`);
  }
}

/** Asks again and again while nothing is heard. */
class SilenceWatch implements Disposable {
  readonly #timer: NodeJS.Timeout;

  constructor(silenceMs: number, ask: () => Promise<void>) {
    this.#timer = setInterval(() => {
      void ask();
    }, silenceMs).unref();
  }

  heard(): void {
    this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
