import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { sleep } from '../runtime/deadline.js';
import { cancelled, FractoryError, unavailable } from '../runtime/errors.js';
import type { Logger } from '../runtime/logger.js';
import { ClassArchive } from './ensemble/class-archive.js';
import { EnsembleServer } from './ensemble/ensemble-server.js';
import { freePorts } from './ensemble/free-ports.js';
import { findInstallation } from './ensemble/installation.js';
import type { FindOptions, Installation } from './ensemble/installation.js';
import type { ServerMode } from './ensemble/server-mode.js';
import type { ServerPorts } from './ensemble/zoo-cfg.js';

/** A server's side of the network, if it has one of its own: nobody else has its ports. */
export interface ServerPlace {
  readonly host: string;
  /** Program with its arguments that turns into the server. */
  readonly within: readonly string[];
}

export interface EnsembleOptions {
  /** What `Ensemble.find` found. */
  readonly installation: Extract<Installation, { ok: true }>;
  /** 1 or any odd number. */
  readonly servers: number;
  /** ZooKeeper's unit of time, ms: session timeouts may be 2 to 20 of it. Default 500. */
  readonly tickMs?: number;
  /** Folder of the servers' data; survives a stop. */
  readonly path: string;
  /** Folder of the servers' logs; default `path`. */
  readonly logPath?: string;
  /** Folder of the class archive; default `path`. */
  readonly archivePath?: string;
  /** Where the server with this id runs. Default: all on loopback, on free ports. */
  readonly placeOf?: ((id: number) => Promise<ServerPlace>) | undefined;
  /** A server's process has begun or ended. */
  readonly onChange?: () => void;
  readonly log: Logger;
}

export interface ServerStatus {
  readonly id: number;
  readonly clientPort: number;
  /** 0 while it isn't running. */
  readonly pid: number;
  /** As last asked. */
  readonly mode: ServerMode;
}

const HOST = '127.0.0.1';
const DEFAULT_TICK_MS = 500;
const PORTS_PER_SERVER = 3;
/** Those of ZooKeeper's own documentation, for servers that share them with nobody. */
const OWN_PORTS = { client: 2181, quorum: 2888, election: 3888 };
const ASK_EVERY_MS = 25;
/** A server that died so often before there was a quorum has a port that somebody else took: new ports. */
const DEATHS_BEFORE_NEW_PORTS = 2;
const START_ATTEMPTS = 3;

export interface ReadyOptions {
  /** How long a quorum waits for the servers that don't serve yet, ms: they come when they can. Default: until they do. */
  readonly laggardMs?: number;
}

/**
 * ZooKeeper servers of our own, on ports that were free of the loopback address or where `placeOf` says. Each ends with the process that started it,
 * however that ends; each is restarted when it dies by itself.
 */
export class Ensemble {
  readonly #options: EnsembleOptions;
  #servers: EnsembleServer[] = [];
  #stopped: Promise<void> | undefined;

  constructor(options: EnsembleOptions) {
    if (options.servers < 1 || options.servers % 2 === 0)
      throw new RangeError(
        `an ensemble has an odd number of servers, not ${String(options.servers)}`,
      );
    this.#options = options;
  }

  static find(options: FindOptions = {}): Promise<Installation> {
    return findInstallation(options);
  }

  /** `host:port,...` of all servers; empty before `spawn`. Changes only within `start`, if a port turns out to be taken. */
  get connect(): string {
    return this.#servers
      .map(({ ports }) => `${ports.host ?? HOST}:${String(ports.client)}`)
      .join(',');
  }

  get servers(): readonly ServerStatus[] {
    return this.#servers.map(({ ports, pid, mode }) => ({
      id: ports.id,
      clientPort: ports.client,
      pid,
      mode,
    }));
  }

  /** Starts the servers and resolves when all of them serve. Stops them if `signal` aborts. */
  async start(signal?: AbortSignal): Promise<void> {
    await this.spawn();
    await this.ready(signal);
  }

  /** First half of `start`: the servers run and `connect` is known, but there is no quorum yet. */
  async spawn(): Promise<void> {
    const { installation, path: root, log } = this.#options;
    const logPath = this.#options.logPath ?? root;
    await Promise.all([root, logPath].map((folder) => mkdir(folder, { recursive: true })));
    const archive = await ClassArchive.open(
      this.#options.archivePath ?? root,
      installation.java,
      installation.classPath,
    );
    const places = await this.#choosePlaces();
    const all = await this.#choosePorts(places);
    this.#servers = all.map(
      (ports, index) =>
        new EnsembleServer(ports, all, {
          ...installation,
          archive,
          host: HOST,
          within: places[index]?.within,
          tickMs: this.#options.tickMs ?? DEFAULT_TICK_MS,
          path: path.join(root, `server-${String(ports.id)}`),
          logPath: path.join(logPath, `zookeeper-${String(ports.id)}.log`),
          onChange: this.#options.onChange ?? (() => undefined),
          log,
        }),
    );
    await Promise.all(this.#servers.map((server) => server.spawn()));
    if (this.#stopped) await this.#stopServers();
  }

  /** Second half of `start`: resolves when every server serves, or a quorum does and has waited long enough for the others. */
  async ready(signal?: AbortSignal, { laggardMs = Infinity }: ReadyOptions = {}): Promise<void> {
    try {
      for (let attempt = 1; !(await this.#allServe(laggardMs, signal)); attempt++) {
        if (attempt === START_ATTEMPTS)
          throw unavailable(
            'ENSEMBLE_FAILED',
            `zookeeper servers die at their start, see the logs in ${this.#options.logPath ?? this.#options.path}`,
          );
        await this.#stopServers();
        await this.spawn();
      }
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Asks every server what it is, and returns all. */
  async refresh(): Promise<readonly ServerStatus[]> {
    await Promise.all(this.#servers.map((server) => server.ask()));
    return this.servers;
  }

  /**
   * Stops one server and starts it again; resolves with the pid of its next process, which has only begun: `serves` waits for it. Fails with QUORUM_AT_RISK
   * before it has stopped anything where the others would be no majority without it; an only server may go: its clients wait for it.
   */
  async restart(id: number): Promise<number> {
    const server = this.#server(id);
    await this.#checkQuorumWithout(server);
    await this.halt([id]);
    this.resume([id]);
    return server.pid;
  }

  /** Resolves when a server serves, in the quorum where there is more than one. */
  async serves(id: number, signal: AbortSignal): Promise<void> {
    const server = this.#server(id);
    while ((await server.ask()) === 'none') await sleep(ASK_EVERY_MS, signal);
  }

  /** Stops these servers, all by default, and keeps them down until `resume`. */
  async halt(ids = this.#ids): Promise<void> {
    await Promise.all(ids.map((id) => this.#server(id).stop()));
  }

  /** Starts servers that were halted; doesn't wait for them. */
  resume(ids = this.#ids): void {
    if (this.#stopped) throw cancelled('the ensemble was stopped');
    for (const id of ids) this.#server(id).resume();
  }

  /** Stops all servers, followers first, so that no time goes into an election. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopServers();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  get #ids(): number[] {
    return this.#servers.map(({ ports }) => ports.id);
  }

  #server(id: number): EnsembleServer {
    const server = this.#servers.find(({ ports }) => ports.id === id);
    if (!server) throw new RangeError(`the ensemble has no server ${String(id)}`);
    return server;
  }

  async #checkQuorumWithout(server: EnsembleServer): Promise<void> {
    const all = this.#servers.length;
    if (all === 1) return;
    const others = this.#servers.filter((other) => other !== server);
    const modes = await Promise.all(others.map((other) => other.ask()));
    const serving = modes.filter((mode) => mode !== 'none').length;
    if (2 * serving > all) return;
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'QUORUM_AT_RISK',
      `without server ${String(server.ports.id)} only ${String(serving)} of ${String(all)} zookeeper servers would serve, which is no majority`,
    );
  }

  async #stopServers(): Promise<void> {
    const leader = this.#servers.find(({ mode }) => mode === 'leader');
    const others = this.#servers.filter((server) => server !== leader);
    await Promise.all(others.map((server) => server.stop()));
    await leader?.stop();
  }

  async #choosePlaces(): Promise<ServerPlace[]> {
    const { placeOf, servers } = this.#options;
    const places: ServerPlace[] = [];
    if (placeOf) for (let id = 1; id <= servers; id++) places.push(await placeOf(id));
    return places;
  }

  async #choosePorts(places: readonly ServerPlace[]): Promise<ServerPorts[]> {
    const count = this.#options.servers;
    if (places.length > 0)
      return places.map(({ host }, index) => ({ id: index + 1, host, ...OWN_PORTS }));
    const free = await freePorts(count * PORTS_PER_SERVER, HOST);
    return Array.from({ length: count }, (_, index) => {
      const [client = 0, quorum = 0, election = 0] = free.slice(index * PORTS_PER_SERVER);
      return { id: index + 1, client, quorum, election };
    });
  }

  /** False if a server dies again and again. */
  async #allServe(laggardMs: number, signal?: AbortSignal): Promise<boolean> {
    let quorumAtMs = Infinity;
    for (;;) {
      if (this.#stopped) throw cancelled('the ensemble was stopped');
      const modes = await Promise.all(this.#servers.map((server) => server.ask()));
      const serving = modes.filter((mode) => mode !== 'none').length;
      if (serving === modes.length) return true;
      const nowMs = performance.now();
      quorumAtMs = 2 * serving > modes.length ? Math.min(quorumAtMs, nowMs) : Infinity;
      const haveDied = this.#servers.some(({ restarts }) => restarts > 0);
      if (!haveDied && nowMs - quorumAtMs >= laggardMs) return true;
      if (this.#servers.some(({ restarts }) => restarts >= DEATHS_BEFORE_NEW_PORTS)) return false;
      await sleep(ASK_EVERY_MS, signal);
    }
  }
}
