import { credentials, status } from '@grpc/grpc-js';
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js';

import { CoordinatorServiceClient } from '../../protos/gen/fractory/v1/coordinator.js';
import type { SessionRequest, SessionResponse } from '../../protos/gen/fractory/v1/coordinator.js';
import { fromStatus } from '../../protos/status.js';
import { backoffMs } from '../../runtime/backoff.js';
import { channelOptions } from '../../runtime/channels.js';
import { systemClock } from '../../runtime/clock.js';
import type { Clock } from '../../runtime/clock.js';
import { unavailable } from '../../runtime/errors.js';
import type { FractoryError } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import type { ConnectionState } from '../coordinator.js';
import { Listeners } from '../listeners.js';
import { isFresh, reduceLiveness, unborn } from '../liveness.js';
import type { Liveness, LivenessEvent } from '../liveness.js';

export interface EmbeddedSessionOptions {
  /** `host:port` */
  readonly connect: string;
  /** Asked for, ms; the server may set another. */
  readonly sessionTimeoutMs: number;
  readonly dataCenter: string;
  readonly secret: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

export type Request = NonNullable<SessionRequest['request']>;
export type Response = NonNullable<SessionResponse['response']>;
type Stream = ClientDuplexStream<SessionRequest, SessionResponse>;

const RECONNECT = { initialMs: 50, maxMs: 500 };

/** A standing session with the embedded coordinator: one stream per session, a fresh one after each loss. */
export class EmbeddedSession {
  readonly #options: EmbeddedSessionOptions;
  readonly #clock: Clock;
  readonly #client: CoordinatorServiceClient;
  readonly #states = new Listeners<[ConnectionState]>();
  readonly #responses = new Listeners<[Response]>();
  readonly #failures = new Listeners<[FractoryError]>();
  #liveness: Liveness = unborn;
  #stream: Stream | undefined;
  #attempts = 0;
  /** Moments at which messages were sent that the server has still to answer with opened or alive, in order. */
  #sentAtMs: number[] = [];
  #cancelHeartbeat: () => void = () => undefined;
  #cancelMiss: () => void = () => undefined;
  #cancelExpiry: () => void = () => undefined;
  #cancelReconnect: () => void = () => undefined;

  constructor(options: EmbeddedSessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#client = new CoordinatorServiceClient(
      options.connect,
      credentials.createInsecure(),
      channelOptions,
    );
  }

  get state(): ConnectionState {
    return this.#liveness.state;
  }

  get generation(): number {
    return this.#liveness.generation;
  }

  get timeoutMs(): number {
    return this.#liveness.timeoutMs || this.#options.sessionTimeoutMs;
  }

  get aliveUntilMs(): number {
    return this.#liveness.aliveUntilMs;
  }

  isFresh(): boolean {
    return isFresh(this.#liveness, this.#clock.monotonicMs());
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#states.add(listener);
  }

  /** Hears what the server sends, except what keeps the session alive. */
  onResponse(listener: (response: Response) => void): () => void {
    return this.#responses.add(listener);
  }

  /** Hears why an attempt to open a session failed. */
  onFailure(listener: (error: FractoryError) => void): () => void {
    return this.#failures.add(listener);
  }

  /** Begins to connect, and goes on until `close`. */
  open(): void {
    this.#connect();
  }

  /** Sends within the session; where there is none the message is dropped: whoever sent it hears of the next session. */
  send(request: Request): void {
    this.#stream?.write({ request });
  }

  close(): void {
    this.#dispatch({ kind: 'closed' });
    this.#release()?.end();
    this.#cancelReconnect();
    this.#client.close();
    for (const listeners of [this.#states, this.#responses, this.#failures]) listeners.clear();
  }

  #connect(): void {
    const { dataCenter, secret, sessionTimeoutMs } = this.#options;
    const stream = this.#client.session();
    this.#stream = stream;
    stream.on('data', (message: SessionResponse) => {
      if (stream === this.#stream && message.response) this.#receive(message.response);
    });
    stream.on('error', (error: ServiceError) => {
      this.#onEnd(stream, error);
    });
    stream.on('end', () => {
      this.#onEnd(stream);
    });
    this.#sentAtMs = [this.#clock.monotonicMs()];
    this.send({
      $case: 'open',
      value: { dataCenter, secret, timeoutMs: sessionTimeoutMs },
    });
    this.#cancelMiss = this.#clock.schedule(Math.max(2000, sessionTimeoutMs), () => {
      stream.cancel();
    });
  }

  #receive(response: Response): void {
    switch (response.$case) {
      case 'opened':
        this.#attempts = 0;
        this.#answered(response.value.timeoutMs);
        break;
      case 'alive':
        this.#answered(this.timeoutMs);
        break;
      default:
        this.#responses.notify(response);
    }
  }

  #answered(timeoutMs: number): void {
    const sentAtMs = this.#sentAtMs.shift();
    if (sentAtMs === undefined) return;
    this.#cancelMiss();
    this.#dispatch({ kind: 'answered', sentAtMs, timeoutMs });
    this.#cancelHeartbeat();
    this.#cancelHeartbeat = this.#clock.schedule(timeoutMs / 4, () => {
      this.#beat();
    });
  }

  #beat(): void {
    this.#sentAtMs.push(this.#clock.monotonicMs());
    this.send({ $case: 'heartbeat', value: {} });
    this.#cancelMiss = this.#clock.schedule(this.timeoutMs / 4, () => {
      const missed = this.#sentAtMs[0];
      // One turn of the event loop first: after a stall the answer may be waiting in the socket.
      setImmediate(() => {
        if (missed !== undefined && this.#sentAtMs[0] === missed)
          this.#dispatch({ kind: 'silent' });
      });
    });
  }

  #onEnd(stream: Stream, error?: ServiceError): void {
    if (stream !== this.#stream) return;
    const cause = error ? fromStatus(error) : unavailable('SESSION_ENDED', 'the session was ended');
    if (error?.code !== status.CANCELLED)
      this.#options.log.debug({ err: cause }, 'the session with the embedded coordinator ended');
    if (this.generation === 0) this.#failures.notify(cause);
    this.#release();
    this.#dispatch({ kind: 'expired' });
    this.#reconnectLater();
  }

  #reconnectLater(): void {
    if (this.state === 'closed') return;
    this.#cancelReconnect();
    this.#cancelReconnect = this.#clock.schedule(backoffMs(++this.#attempts, RECONNECT), () => {
      this.#connect();
    });
  }

  /** The session's stream and timers are of no further use. */
  #release(): Stream | undefined {
    const stream = this.#stream;
    this.#stream = undefined;
    this.#cancelHeartbeat();
    this.#cancelMiss();
    this.#sentAtMs = [];
    return stream;
  }

  #dispatch(event: LivenessEvent): void {
    const before = this.#liveness;
    this.#liveness = reduceLiveness(before, event);
    const { state, generation, aliveUntilMs } = this.#liveness;
    this.#cancelExpiry();
    if (state === 'connected' || state === 'suspended')
      this.#cancelExpiry = this.#clock.schedule(aliveUntilMs - this.#clock.monotonicMs(), () => {
        setImmediate(() => {
          this.#dispatch({ kind: 'elapsed', nowMs: this.#clock.monotonicMs() });
        });
      });
    if (state === before.state && generation === before.generation) return;
    if (state === 'lost' && event.kind === 'elapsed') {
      this.#release()?.cancel();
      this.#reconnectLater();
    }
    this.#states.notify(state);
  }
}
