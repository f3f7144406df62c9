import { ACL, CreateMode, Id, Permission } from 'node-zookeeper-client';
import type { Client, Stat } from 'node-zookeeper-client';

import type { Clock } from '../runtime/clock.js';
import { systemClock } from '../runtime/clock.js';
import type { Logger } from '../runtime/logger.js';
import { ZooKeeperClient } from './client.js';
import type { ClientEvent } from './client.js';
import type { ConnectionState } from './coordinator.js';
import { Listeners } from './listeners.js';
import { expireSession } from './session-expiry.js';
import { SessionWaiters } from './session-waiters.js';
import { RivalProbe } from './rival-probe.js';
import { isFresh, reduceLiveness, unborn } from './liveness.js';
import type { Liveness, LivenessEvent } from './liveness.js';
import { closedError, failedWith, lostError, ZooKeeperError } from './zookeeper-error.js';

export interface SessionOptions {
  /** `host:port,host:port,...` */
  readonly connect: string;
  /** Asked for; the server may negotiate another. ms. */
  readonly sessionTimeoutMs: number;
  /** Whoever has it may read and write what this session creates, nobody else. Empty: open to all. */
  readonly secret: string;
  readonly log: Logger;
  readonly clock?: Clock;
}

/** A znode as read. */
export interface Znode {
  readonly data: Buffer;
  /** Transaction that created it: only grows over the life of the ensemble. All 64 bits. */
  readonly czxid: bigint;
  /** Session that owns it; 0 if it is persistent. */
  readonly owner: bigint;
  /** When it was created, by the server's clock; ms since 1970. */
  readonly createdMs: number;
  /** How often its data was written. */
  readonly version: number;
}

export interface CreateOptions {
  /** `ephemeral-sequential`: ends with the session; the server appends ten digits to the path. Default `persistent`. */
  readonly mode?: 'persistent' | 'ephemeral-sequential';
  /** `own`: for holders of the secret only. `shared`: everyone may look and create below. Default `own`. */
  readonly access?: 'own' | 'shared';
}

type Reply<T> = (error: unknown, result: T) => void;
const RENEW_DELAY_MS = 250;
/** How long others are let in and this client isn't, beyond the time in which it asks every server, before its session counts as over, ms. */
const OTHERS_ONLY_MS = 1000;
/** An operation may take twice the session timeout from call to answer, waiting for a connection included, and no less than this, ms. */
const LEAST_OPERATION_MS = 5000;
const USER = 'fractory';
const EVERYONE = new Id('world', 'anyone');
const CREATOR = new Id('auth', '');

/**
 * A standing session with ZooKeeper: while it is open there is a client, and after an expiry a fresh one, told by `lost` and
 * then `connected` with the next generation. Closes the holes of the library: a heartbeat with a deadline
 * (frozen servers; sessions that starve while only notifications arrive), an expiry clock of our own, operations that are sent
 * only when connected and authenticated, and that always settle.
 *
 * Watches are called once, at the change or not at all: they end with their session. A reader reads anew at each `connected`.
 */
export class Session {
  readonly #options: SessionOptions;
  readonly #clock: Clock;
  readonly #states = new Listeners<[ConnectionState, number]>();
  readonly #waiters: SessionWaiters;
  readonly #probe: RivalProbe;
  #liveness: Liveness = unborn;
  #client: ZooKeeperClient | undefined;
  #cancelHeartbeat: () => void = () => undefined;
  #cancelExpiry: () => void = () => undefined;
  #closing: Promise<void> | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#waiters = new SessionWaiters(this, this.#clock);
    this.#probe = new RivalProbe({
      makeClient: (onEvent) => this.#makeClient(onEvent),
      patienceMs: () => this.timeoutMs + OTHERS_ONLY_MS,
      onOthersOnly: () => {
        if (this.state === 'suspended') this.#dispatch({ kind: 'expired' });
      },
      clock: this.#clock,
    });
  }

  get state(): ConnectionState {
    return this.#liveness.state;
  }

  /** Number of this session: 1 for the first. */
  get generation(): number {
    return this.#liveness.generation;
  }

  /** The server's id of this session; the owner of its ephemeral znodes. 0 before the first. */
  get id(): bigint {
    return this.#client?.sessionId ?? 0n;
  }

  /** `host:port` of the server that serves it now; empty while there is none. */
  get server(): string {
    return this.#client?.server ?? '';
  }

  get timeoutMs(): number {
    return this.#liveness.timeoutMs || this.#options.sessionTimeoutMs;
  }

  /** The session can't have expired at the server before this moment; monotonic ms. */
  get aliveUntilMs(): number {
    return this.#liveness.aliveUntilMs;
  }

  /** True only while the session can't have expired at the server, even if this process was stopped for a while. */
  isFresh(): boolean {
    return isFresh(this.#liveness, this.#clock.monotonicMs());
  }

  onState(listener: (state: ConnectionState, generation: number) => void): () => void {
    return this.#states.add(listener);
  }

  /** Begins to connect, and goes on until `close`. Resolves at the first session; `timeout` if there is none by then. */
  async open(timeoutMs: number): Promise<void> {
    if (!this.#client && !this.#closing) this.#renew();
    await this.#waiters.connected(timeoutMs, `open a session with ${this.#options.connect}`);
  }

  /** Returns the path as created. */
  create(path: string, data: Uint8Array, options: CreateOptions = {}): Promise<string> {
    const mode =
      options.mode === 'ephemeral-sequential'
        ? CreateMode.EPHEMERAL_SEQUENTIAL
        : CreateMode.PERSISTENT;
    const acl = this.#acl(options.access ?? 'own');
    return this.#perform(`create ${path}`, (library, reply: Reply<string>) => {
      library.create(path, Buffer.from(data), acl, mode, reply);
    });
  }

  /** Creates a persistent znode unless it is there. Goes through the leader, so that later reads see all that was written before. */
  async ensure(path: string, options: Pick<CreateOptions, 'access'> = {}): Promise<void> {
    try {
      await this.create(path, Buffer.alloc(0), options);
    } catch (error) {
      if (!failedWith(error, 'node-exists')) throw error;
    }
  }

  /** Replaces the data if it has this version; false if it has another. */
  async write(path: string, data: Uint8Array, version: number): Promise<boolean> {
    try {
      await this.#perform(`write ${path}`, (library, reply: Reply<Stat>) => {
        library.setData(path, Buffer.from(data), version, reply);
      });
      return true;
    } catch (error) {
      if (failedWith(error, 'bad-version')) return false;
      throw error;
    }
  }

  /** True if it removed the znode, false if there was none. */
  async remove(path: string): Promise<boolean> {
    try {
      await this.#perform(`remove ${path}`, (library, reply: Reply<void>) => {
        library.remove(path, (error) => {
          reply(error);
        });
      });
      return true;
    } catch (error) {
      if (failedWith(error, 'no-node')) return false;
      throw error;
    }
  }

  /** Undefined if there is none. */
  async read(path: string): Promise<Znode | undefined> {
    try {
      return await this.#perform(`read ${path}`, (library, reply: Reply<Znode>) => {
        library.getData(path, (error, data: Buffer | undefined, stat) => {
          reply(error, error ? (undefined as never) : toZnode(data, stat));
        });
      });
    } catch (error) {
      if (failedWith(error, 'no-node')) return undefined;
      throw error;
    }
  }

  /** Is there such a znode? If so, `onChange` hears when it is removed. */
  async watch(path: string, onChange: () => void): Promise<boolean> {
    try {
      // Reading leaves no watch where there is no znode; `exists` would leave one for ever.
      await this.#perform(`watch ${path}`, (library, reply: Reply<Buffer>) => {
        library.getData(path, onChange, reply);
      });
      return true;
    } catch (error) {
      if (failedWith(error, 'no-node')) return false;
      throw error;
    }
  }

  /** Names of the children; `onChange` hears of the next child that comes or goes. Give the same function each time. */
  children(path: string, onChange?: () => void): Promise<string[]> {
    return this.#perform(`list ${path}`, (library, reply: Reply<string[]>) => {
      if (onChange) library.getChildren(path, onChange, reply);
      else library.getChildren(path, reply);
    });
  }

  /**
   * Ends the session at the server by a second connection that claims it, while the first knows nothing: it finds out as it does when its
   * session has expired. Resolves when it has.
   */
  expire(): Promise<void> {
    return expireSession(this, () => this.#client, this.#clock);
  }

  /** Ends the session, and all its ephemeral znodes with it. Everything that waits fails with `closed`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    this.#cancelHeartbeat();
    this.#dispatch({ kind: 'closed' });
    await client?.close(Math.min(1000, this.timeoutMs / 2));
    this.#states.clear();
  }

  #acl(access: 'own' | 'shared'): ACL[] {
    if (this.#options.secret === '') return [new ACL(Permission.ALL, EVERYONE)];
    if (access === 'own') return [new ACL(Permission.ALL, CREATOR)];
    return [new ACL(Permission.READ | Permission.CREATE, EVERYONE)];
  }

  /** A fresh client in place of one whose session is over. */
  #renew(): void {
    this.#client?.dispose();
    const client: ZooKeeperClient = this.#makeClient((event) => {
      if (client === this.#client) this.#onClientEvent(client, event);
    });
    this.#client = client;
    client.connect();
  }

  #makeClient(onEvent: (event: ClientEvent) => void): ZooKeeperClient {
    const { connect, sessionTimeoutMs, secret } = this.#options;
    const digest = secret === '' ? undefined : `${USER}:${secret}`;
    return new ZooKeeperClient({ connect, sessionTimeoutMs, digest, clock: this.#clock, onEvent });
  }

  #onClientEvent(client: ZooKeeperClient, event: ClientEvent): void {
    this.#options.log.debug({ event, session: client.sessionId.toString(16) }, 'zookeeper client');
    switch (event) {
      case 'connected':
        // The answer to the first heartbeat proves more than the handshake: it comes after that of the authentication.
        this.#beat(client);
        break;
      case 'disconnected':
        this.#cancelHeartbeat();
        this.#dispatch({ kind: 'silent' });
        break;
      case 'expired':
        this.#cancelHeartbeat();
        this.#dispatch({ kind: 'expired' });
        if (client !== this.#client) break;
        // Where there was no session yet, nothing was lost; the client is as useless. Not at once: it may be refused again.
        this.#cancelHeartbeat = this.#clock.schedule(RENEW_DELAY_MS, () => {
          if (client === this.#client) this.#renew();
        });
        break;
    }
  }

  #beat(client: ZooKeeperClient): void {
    const sentAtMs = this.#clock.monotonicMs();
    const everyMs = client.timeoutMs / 4;
    client
      .perform('heartbeat', everyMs, (library, reply: Reply<Stat>) => {
        library.exists('/', reply);
      })
      .then(
        () => {
          if (client !== this.#client) return;
          this.#dispatch({ kind: 'answered', sentAtMs, timeoutMs: client.timeoutMs });
          this.#cancelHeartbeat = this.#clock.schedule(everyMs, () => {
            this.#beat(client);
          });
        },
        (error: unknown) => {
          if (client !== this.#client || failedWith(error, 'connection-loss')) return;
          this.#options.log.warn({ err: error }, 'zookeeper server missed a heartbeat');
          client.drop();
        },
      );
  }

  #dispatch(event: LivenessEvent): void {
    const before = this.#liveness;
    this.#liveness = reduceLiveness(before, event);
    const { state, generation } = this.#liveness;
    this.#watchExpiry();
    if (state === before.state && generation === before.generation) return;
    this.#options.log.debug({ state, generation }, 'zookeeper session');
    // The fresh client first, so that whoever hears of the loss may call at once.
    if (state === 'lost') this.#renew();
    this.#waiters.settle();
    this.#states.notify(state, generation);
  }

  /**
   * Our own clock: past the timeout the session may be over, so whoever was stopped for that long asks another time. It ends when a server says so and
   * not before: an ensemble without a quorum expires nobody.
   */
  #watchExpiry(): void {
    this.#cancelExpiry();
    const { state, aliveUntilMs } = this.#liveness;
    if (state !== 'suspended') this.#probe.end();
    if (state !== 'connected' && state !== 'suspended') return;
    const leftMs = Math.max(0, aliveUntilMs - this.#clock.monotonicMs());
    this.#cancelExpiry = this.#clock.schedule(leftMs, () => {
      setImmediate(() => {
        if (this.state === 'suspended') this.#probe.begin();
        if (this.state !== 'connected' || this.isFresh()) return;
        this.#dispatch({ kind: 'silent' });
        this.#client?.drop();
      });
    });
  }

  async #perform<T>(
    operation: string,
    send: (library: Client, reply: Reply<T>) => void,
  ): Promise<T> {
    const timeoutMs = Math.max(LEAST_OPERATION_MS, 2 * this.#options.sessionTimeoutMs);
    const deadlineAtMs = this.#clock.monotonicMs() + timeoutMs;
    await this.#waiters.connected(timeoutMs, operation);
    const client = this.#client;
    if (!client) throw new ZooKeeperError('closed', `zookeeper: ${operation}: closed`);
    const { generation } = this;
    const leftMs = deadlineAtMs - this.#clock.monotonicMs();
    try {
      return await client.perform(operation, Math.max(1, leftMs), send);
    } catch (error) {
      if (this.state === 'closed') throw closedError(operation, error);
      // What was in flight at an expiry belongs to the session that is over.
      if (failedWith(error, 'connection-loss') && client !== this.#client)
        throw lostError(operation, generation, error);
      throw error;
    }
  }
}

function toZnode(data: Buffer | undefined, stat: Stat): Znode {
  return {
    data: data ?? Buffer.alloc(0),
    czxid: stat.czxid.readBigInt64BE(),
    owner: stat.ephemeralOwner.readBigInt64BE(),
    createdMs: Number(stat.ctime.readBigInt64BE()),
    version: stat.version,
  };
}
