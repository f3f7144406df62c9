import { createHash, timingSafeEqual } from 'node:crypto';

import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { ServerDuplexStream } from '@grpc/grpc-js';

import { CoordinatorServiceService } from '../../protos/gen/fractory/v1/coordinator.js';
import type {
  SessionOpen,
  SessionRegister,
  SessionRequest,
  SessionResponse,
} from '../../protos/gen/fractory/v1/coordinator.js';
import { toStatus } from '../../protos/status.js';
import { CallGuard } from '../../runtime/call-guard.js';
import type { CallLimits } from '../../runtime/call-guard.js';
import { systemClock } from '../../runtime/clock.js';
import type { Clock } from '../../runtime/clock.js';
import { guardConnections } from '../../runtime/connection-guard.js';
import type { ConnectionLimits } from '../../runtime/connection-guard.js';
import { FractoryError, invalidArgument, unavailable } from '../../runtime/errors.js';
import type { Logger } from '../../runtime/logger.js';
import { checkName } from '../../runtime/names.js';
import { LeaseTable } from './lease-table.js';

export interface EmbeddedCoordinatorOptions {
  /** Address to bind to. */
  readonly host: string;
  /** Default 0: any free port. */
  readonly port?: number;
  readonly dataCenter: string;
  readonly secret: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

type Stream = ServerDuplexStream<SessionRequest, SessionResponse>;

/** A session as the server sees it. */
interface Lessee {
  readonly id: number;
  readonly stream: Stream;
  timeoutMs: number;
  cancelExpiry: () => void;
}

/** Bounds of session timeouts. */
const MIN_TIMEOUT_MS = 400;
const MAX_TIMEOUT_MS = 60_000;
const MAX_DATA_CHARACTERS = 64 * 1024;
/** Epochs of one who lies must not use up those of all. */
const MAX_EPOCH = 2n ** 62n;
const MAX_MESSAGE_BYTES = 1024 ** 2;
const MAX_SESSIONS_PER_CONNECTION = 100;
/** A connection that is silent is asked after this time, and cut off if it says nothing for as long again. Sessions have timeouts of their own. */
const KEEPALIVE_MS = 10_000;
/** Room for a session of each node; nobody else has business here. */
const CONNECTION_LIMITS: ConnectionLimits = { max_connections: 2048, max_metadata_bytes: 8192 };
const CALL_LIMITS: CallLimits = {
  ...{ max_open_calls: 4096, max_transit_bytes: 64 * 1024 ** 2 },
  ...{ default_budget_ms: 10_000, max_budget_ms: 10_000 },
};

/** Serves the coordinator for one machine where there is no ZooKeeper: leases that live as long as their stream and its heartbeats. */
export class EmbeddedCoordinator {
  readonly #options: EmbeddedCoordinatorOptions;
  readonly #clock: Clock;
  readonly #server = new Server({
    interceptors: [new CallGuard(CALL_LIMITS, toStatus).interceptor],
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': MAX_SESSIONS_PER_CONNECTION,
    'grpc.keepalive_time_ms': KEEPALIVE_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_MS,
  });
  readonly #leases: LeaseTable;
  readonly #sessions = new Map<number, Lessee>();
  #lastSession = 0;
  #address = '';

  constructor(options: EmbeddedCoordinatorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#leases = new LeaseTable(this.#clock.now());
    guardConnections(this.#server, CONNECTION_LIMITS);
    this.#server.addService(CoordinatorServiceService, {
      session: (stream: Stream) => {
        this.#serve(stream);
      },
    });
  }

  /** `host:port` once started. */
  get address(): string {
    return this.#address;
  }

  async start(): Promise<void> {
    const { host, port = 0 } = this.#options;
    this.#address = await new Promise((resolve, reject) => {
      this.#server.bindAsync(
        `${host}:${String(port)}`,
        ServerCredentials.createInsecure(),
        (error, bound) => {
          if (error) reject(error);
          else resolve(`${host}:${String(bound)}`);
        },
      );
    });
  }

  /** Ends all sessions. Idempotent. */
  stop(): Promise<void> {
    for (const session of [...this.#sessions.values()])
      this.#end(session, unavailable('COORDINATOR_CLOSED', 'the embedded coordinator stops'));
    this.#server.forceShutdown();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #serve(stream: Stream): void {
    let session: Lessee | undefined;
    stream.on('data', (message: SessionRequest) => {
      try {
        if (session) this.#receive(session, message);
        else session = this.#open(stream, message);
      } catch (error) {
        if (session) this.#end(session, error);
        else stream.emit('error', toStatus(error));
      }
    });
    const over = (): void => {
      if (session) this.#end(session);
    };
    stream.on('end', over);
    stream.on('cancelled', over);
    stream.on('close', over);
    // A stream that breaks also closes; without a listener its error would end the process.
    stream.on('error', over);
  }

  #open(stream: Stream, message: SessionRequest): Lessee {
    const { request } = message;
    if (request?.$case !== 'open') throw invalidArgument('request', 'the first message must open');
    this.#authenticate(request.value);
    const timeoutMs = Math.min(MAX_TIMEOUT_MS, Math.max(MIN_TIMEOUT_MS, request.value.timeoutMs));
    const session: Lessee = {
      id: ++this.#lastSession,
      stream,
      timeoutMs,
      cancelExpiry: () => undefined,
    };
    this.#sessions.set(session.id, session);
    this.#touch(session);
    send(session, { $case: 'opened', value: { timeoutMs } });
    send(session, this.#snapshot());
    return session;
  }

  #authenticate(open: SessionOpen): void {
    if (!sameText(open.secret, this.#options.secret))
      throw new FractoryError(
        status.PERMISSION_DENIED,
        'WRONG_SECRET',
        `data center ${this.#options.dataCenter} has another secret than ours`,
      );
    if (open.dataCenter !== this.#options.dataCenter)
      throw new FractoryError(
        status.FAILED_PRECONDITION,
        'WRONG_DATA_CENTER',
        `this is the coordinator of ${this.#options.dataCenter}, not of ${open.dataCenter}`,
      );
  }

  #receive(session: Lessee, message: SessionRequest): void {
    if (!this.#sessions.has(session.id)) return;
    this.#touch(session);
    const { request } = message;
    switch (request?.$case) {
      case 'heartbeat':
        send(session, { $case: 'alive', value: {} });
        break;
      case 'register':
        this.#register(session, request.value);
        break;
      case 'withdraw':
        this.#leases.withdraw(session.id, request.value.registration);
        this.#publish();
        break;
      case 'remove': {
        const { request: number, member, instance } = request.value;
        const found = this.#leases.remove(member, instance);
        if (found) this.#publish();
        send(session, { $case: 'removed', value: { request: number, found } });
        break;
      }
      case 'expire':
        this.#end(session, unavailable('SESSION_EXPIRED', 'the session was ended on request'));
        break;
      case 'open':
      case undefined:
        throw invalidArgument('request', 'is not known in an open session');
    }
  }

  #register(session: Lessee, request: SessionRegister): void {
    const { registration, type, member, data, aboveEpoch } = request;
    try {
      checkName('type', type);
      checkName('member', member);
      if (data.length > MAX_DATA_CHARACTERS) throw invalidArgument('data', 'is too long');
      if (aboveEpoch > MAX_EPOCH) throw invalidArgument('above_epoch', 'leaves no epochs above');
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      send(session, { $case: 'refused', value: { registration, message } });
      return;
    }
    const made = { session: session.id, registration, type, member, data };
    const lease = this.#leases.register(made, aboveEpoch);
    const { epoch, sequence } = lease;
    send(session, { $case: 'registered', value: { registration, epoch, sequence } });
    this.#publish();
  }

  #touch(session: Lessee): void {
    session.cancelExpiry();
    session.cancelExpiry = this.#clock.schedule(session.timeoutMs, () => {
      // After a stall of this process heartbeats may be waiting in the socket: read them first.
      session.cancelExpiry = this.#clock.schedule(session.timeoutMs / 10, () => {
        const text = `session ${String(session.id)} was silent for ${String(session.timeoutMs)} ms`;
        this.#end(session, unavailable('SESSION_EXPIRED', text));
      });
    });
  }

  #end(session: Lessee, error?: unknown): void {
    if (!this.#sessions.delete(session.id)) return;
    session.cancelExpiry();
    if (error === undefined) session.stream.end();
    else session.stream.emit('error', toStatus(error));
    if (this.#leases.end(session.id)) this.#publish();
  }

  #publish(): void {
    const snapshot = this.#snapshot();
    for (const session of this.#sessions.values()) send(session, snapshot);
  }

  #snapshot(): NonNullable<SessionResponse['response']> {
    const members = this.#leases.list().map(({ type, member, epoch, sequence, data }) => ({
      type,
      member,
      epoch,
      sequence,
      data,
    }));
    return { $case: 'members', value: { members } };
  }
}

function send(session: Lessee, response: NonNullable<SessionResponse['response']>): void {
  session.stream.write({ response });
}

/** Compares in constant time, and so tells nothing about where two texts differ. */
function sameText(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}
