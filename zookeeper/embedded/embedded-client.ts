import { withDeadline } from '../../runtime/deadline.js';
import { FractoryError, messageOf, unavailable } from '../../runtime/errors.js';
import { checkName } from '../../runtime/names.js';
import type { SessionMembers } from '../../protos/gen/fractory/v1/coordinator.js';
import { status } from '@grpc/grpc-js';
import type {
  ConnectionState,
  Coordinator,
  Member,
  MemberRecord,
  Registration,
} from '../coordinator.js';
import { Listeners } from '../listeners.js';
import { decodeRecord, orderMembers, sameMembers } from '../members.js';
import { EmbeddedRegistration } from './embedded-registration.js';
import { EmbeddedSession } from './embedded-session.js';
import type { EmbeddedSessionOptions, Response } from './embedded-session.js';

/** Longest time from `register` to the list, in session timeouts. */
const REGISTER_SESSIONS = 5;

/** Who is there and who leads, as the embedded coordinator of this machine knows it. */
export class EmbeddedClient implements Coordinator {
  readonly kind = 'embedded';
  readonly #options: EmbeddedSessionOptions;
  readonly #session: EmbeddedSession;
  readonly #states = new Listeners<[ConnectionState]>();
  readonly #changes = new Listeners<[readonly Member[]]>();
  readonly #registrations = new Set<EmbeddedRegistration>();
  #members: readonly Member[] = [];
  #seenGeneration = 0;
  #registered = 0;
  #removals = 0;

  constructor(options: EmbeddedSessionOptions) {
    this.#options = options;
    checkName('data center', options.dataCenter);
    this.#session = new EmbeddedSession(options);
    this.#session.onState((state) => {
      // At `connected` what is known of the members is old: the first list of the session follows.
      if (state !== 'connected' || this.#seenGeneration === this.#session.generation)
        for (const registration of [...this.#registrations]) registration.onState(state);
      this.#states.notify(state);
    });
    this.#session.onResponse((response) => {
      this.#onResponse(response);
    });
  }

  get state(): ConnectionState {
    return this.#session.state;
  }

  get sessionTimeoutMs(): number {
    return this.#session.timeoutMs;
  }

  async start(timeoutMs: number): Promise<void> {
    this.#session.open();
    try {
      await withDeadline(timeoutMs, 'connecting to the embedded coordinator', () =>
        Promise.race([this.#firstMembers(), this.#refusal()]),
      );
    } catch (error) {
      await this.close();
      if (error instanceof FractoryError && isRefusal(error)) throw error;
      throw unavailable(
        'COORDINATOR_UNAVAILABLE',
        `no session with the embedded coordinator at ${this.#options.connect} within ${String(timeoutMs)} ms: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  async register(record: MemberRecord): Promise<Registration> {
    checkName('member', record.id);
    checkName('device type', record.type);
    if (this.state === 'closed') throw closedError();
    const registration: EmbeddedRegistration = new EmbeddedRegistration(record, this.#session, {
      number: ++this.#registered,
      log: this.#options.log,
      members: () => this.#members,
      onWithdrawn: () => {
        this.#registrations.delete(registration);
      },
    });
    this.#registrations.add(registration);
    registration.check();
    const timeoutMs = Math.max(10_000, REGISTER_SESSIONS * this.#session.timeoutMs);
    try {
      await withDeadline(timeoutMs, `registering member ${record.id}`, (signal) =>
        this.#until(signal, () => {
          if (registration.refused) throw registration.refused;
          if (this.state === 'closed') throw closedError();
          return registration.member !== undefined && registration.listed;
        }),
      );
      return registration;
    } catch (error) {
      void registration.withdraw();
      throw error;
    }
  }

  members(): readonly Member[] {
    return this.#members;
  }

  onMembers(listener: (members: readonly Member[]) => void): () => void {
    return this.#changes.add(listener);
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#states.add(listener);
  }

  async removeMember(member: string, instance: string): Promise<boolean> {
    if (this.state === 'closed') throw closedError();
    const request = ++this.#removals;
    let found: boolean | undefined;
    const stop = this.#session.onResponse((response) => {
      if (response.$case === 'removed' && response.value.request === request)
        found = response.value.found;
    });
    const { generation } = this.#session;
    try {
      await withDeadline(this.#session.timeoutMs, `removing member ${member}`, (signal) => {
        this.#session.send({ $case: 'remove', value: { request, member, instance } });
        return this.#until(signal, () => {
          if (this.#session.generation !== generation || this.state === 'closed')
            throw closedError();
          return found !== undefined;
        });
      });
      return found ?? false;
    } finally {
      stop();
    }
  }

  expireSession(): Promise<void> {
    if (this.state !== 'connected') return Promise.reject(closedError());
    this.#session.send({ $case: 'expire', value: {} });
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.#session.close();
    for (const registration of this.#registrations) registration.abandon();
    this.#registrations.clear();
    this.#states.clear();
    this.#changes.clear();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #onResponse(response: Response): void {
    for (const registration of [...this.#registrations]) registration.onResponse(response);
    if (response.$case !== 'members') return;
    this.#seenGeneration = this.#session.generation;
    const members = this.#decode(response.value);
    const changed = !sameMembers(members, this.#members);
    this.#members = members;
    for (const registration of [...this.#registrations]) registration.check();
    if (changed) this.#changes.notify(members);
  }

  #decode({ members }: SessionMembers): readonly Member[] {
    const decoded: Member[] = [];
    for (const { data, epoch, sequence, member } of members) {
      const record = decodeRecord(data);
      if (typeof record === 'string')
        this.#options.log.warn({ member, problem: record }, 'not a member');
      else decoded.push({ ...record, epoch, sequence: Number(sequence) });
    }
    return orderMembers(decoded);
  }

  #firstMembers(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#session.onResponse((response) => {
        if (response.$case !== 'members') return;
        stop();
        resolve();
      });
    });
  }

  /** Rejects when the server refuses us, and when this end is closed; other failures are tried again. */
  #refusal(): Promise<never> {
    return new Promise((_, reject) => {
      this.#session.onState((state) => {
        if (state === 'closed') reject(closedError());
      });
      this.#session.onFailure((error) => {
        if (isRefusal(error)) reject(error);
      });
    });
  }

  /** Resolves when `condition` holds; looks after each message and each change of state. */
  #until(signal: AbortSignal, condition: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const check = (): void => {
        try {
          if (!signal.aborted && !condition()) return;
          resolve();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
        stopResponses();
        stopStates();
        signal.removeEventListener('abort', check);
      };
      const stopResponses = this.#session.onResponse(check);
      const stopStates = this.#session.onState(check);
      signal.addEventListener('abort', check);
      check();
    });
  }
}

function isRefusal(error: FractoryError): boolean {
  return error.code === status.PERMISSION_DENIED || error.code === status.FAILED_PRECONDITION;
}

function closedError(): FractoryError {
  return new FractoryError(status.CANCELLED, 'COORDINATOR_CLOSED', 'the coordinator was closed');
}
