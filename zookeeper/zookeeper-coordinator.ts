import { status } from '@grpc/grpc-js';

import type { Clock } from '../runtime/clock.js';
import { withDeadline } from '../runtime/deadline.js';
import { FractoryError, messageOf, unavailable } from '../runtime/errors.js';
import type { Logger } from '../runtime/logger.js';
import { checkName } from '../runtime/names.js';
import type {
  ConnectionState,
  Coordinator,
  Member,
  MemberRecord,
  Registration,
} from './coordinator.js';
import { DataCenterRoot } from './data-center-root.js';
import { Listeners } from './listeners.js';
import { decodeRecord, orderNames } from './members.js';
import { ZooKeeperRegistration } from './registration.js';
import { Registry } from './registry.js';
import { Session } from './session.js';
import { failedWith } from './zookeeper-error.js';

export interface ZooKeeperCoordinatorOptions {
  /** `host:port,host:port,...` */
  readonly connect: string;
  readonly sessionTimeoutMs: number;
  readonly dataCenter: string;
  /** Owns the znodes; empty: they are open to all. */
  readonly secret: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** Longest time from `register` to the list, in session timeouts. */
const REGISTER_SESSIONS = 5;

/** Who is there and who leads, kept in ZooKeeper. */
export class ZooKeeperCoordinator implements Coordinator {
  readonly kind = 'zookeeper';
  readonly #options: ZooKeeperCoordinatorOptions;
  readonly #session: Session;
  readonly #registry: Registry;
  readonly #root: DataCenterRoot;
  readonly #states = new Listeners<[ConnectionState]>();
  readonly #registrations = new Set<ZooKeeperRegistration>();
  #closing: Promise<void> | undefined;

  constructor(options: ZooKeeperCoordinatorOptions) {
    this.#options = options;
    this.#session = new Session(options);
    this.#root = new DataCenterRoot(this.#session, checkName('data center', options.dataCenter));
    this.#registry = new Registry(this.#session, { ...options, root: this.#root });
    this.#session.onState((state) => {
      this.#states.notify(state);
    });
  }

  get state(): ConnectionState {
    return this.#session.state;
  }

  get sessionTimeoutMs(): number {
    return this.#session.timeoutMs;
  }

  async start(timeoutMs: number): Promise<void> {
    try {
      await withDeadline(timeoutMs, `connecting to zookeeper`, () => this.#open(timeoutMs));
    } catch (error) {
      await this.close();
      throw this.#startError(error, timeoutMs);
    }
  }

  async register(record: MemberRecord): Promise<Registration> {
    checkName('member', record.id);
    checkName('device type', record.type);
    const timeoutMs = Math.max(10_000, REGISTER_SESSIONS * this.#session.timeoutMs);
    let refuse: (error: unknown) => void = () => undefined;
    const refused = new Promise<never>((_, reject) => {
      refuse = reject;
    });
    const registration = new ZooKeeperRegistration(record, this.#session, this.#registry, {
      ...this.#options,
      root: this.#root,
      onError: (error) => {
        // These don't mend themselves.
        if (failedWith(error, 'no-auth', 'closed')) refuse(error);
      },
      onWithdrawn: () => {
        this.#registrations.delete(registration);
      },
    });
    this.#registrations.add(registration);
    try {
      await withDeadline(timeoutMs, `registering member ${record.id}`, () =>
        Promise.race([refused, registration.register()]),
      );
      if (this.#closing) throw unavailable('COORDINATOR_CLOSED', 'the coordinator was closed');
      return registration;
    } catch (error) {
      void registration.withdraw();
      throw error;
    }
  }

  members(): readonly Member[] {
    return this.#registry.members;
  }

  onMembers(listener: (members: readonly Member[]) => void): () => void {
    return this.#registry.onMembers(listener);
  }

  onState(listener: (state: ConnectionState) => void): () => void {
    return this.#states.add(listener);
  }

  async removeMember(id: string, instance: string): Promise<boolean> {
    const path = this.#root.membersPath;
    for (const type of await this.#session.children(path))
      for (const { name, id: found } of orderNames(await this.#session.children(`${path}/${type}`)))
        if (found === id && (await this.#removeLife(`${path}/${type}/${name}`, instance))) {
          await this.#registry.readType(type);
          return true;
        }
    return false;
  }

  expireSession(): Promise<void> {
    return this.#session.expire();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Names are used once, so what is removed is what was read. */
  async #removeLife(path: string, instance: string): Promise<boolean> {
    const znode = await this.#session.read(path);
    const record = znode && decodeRecord(znode.data.toString());
    if (record === undefined || typeof record === 'string' || record.instance !== instance)
      return false;
    this.#options.log.info({ znode: path }, 'removing a member whose process has ended');
    return this.#session.remove(path);
  }

  async #open(timeoutMs: number): Promise<void> {
    await this.#session.open(timeoutMs);
    await this.#root.ensure();
    // Fails at once where the secret is another, which `read` would go on trying.
    await this.#session.children(this.#root.membersPath);
    await this.#registry.read();
  }

  #startError(error: unknown, timeoutMs: number): unknown {
    if (failedWith(error, 'no-auth'))
      return new FractoryError(
        status.PERMISSION_DENIED,
        'WRONG_SECRET',
        `data center ${this.#options.dataCenter} has another secret than ours`,
        { cause: error },
      );
    const where = `${this.#options.connect} within ${String(timeoutMs)} ms`;
    return unavailable(
      'COORDINATOR_UNAVAILABLE',
      `no zookeeper session at ${where}: ${messageOf(error)}`,
      { cause: error },
    );
  }

  async #close(): Promise<void> {
    // The session first: whoever waits for an operation is told at once.
    const ended = this.#session.close();
    const registrations = [...this.#registrations].map((one) => one.abandon());
    await Promise.all([ended, this.#registry.stop(), ...registrations]);
    this.#registrations.clear();
    this.#states.clear();
  }
}
