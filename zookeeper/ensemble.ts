import { mkdir } from 'node:fs/promises';
import path from 'node:path';

import { sleep } from '../runtime/deadline.js';
import { cancelled, unavailable } from '../runtime/errors.js';
import type { Logger } from '../runtime/logger.js';
import { ClassArchive } from './ensemble/class-archive.js';
import { EnsembleServer } from './ensemble/ensemble-server.js';
import { freePorts } from './ensemble/free-ports.js';
import { findInstallation } from './ensemble/installation.js';
import type { FindOptions, Installation } from './ensemble/installation.js';
import type { ServerMode } from './ensemble/server-mode.js';
import type { ServerPorts } from './ensemble/zoo-cfg.js';

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
const ASK_EVERY_MS = 25;
/** A server that died so often before there was a quorum has a port that somebody else took: new ports. */
const DEATHS_BEFORE_NEW_PORTS = 2;
const START_ATTEMPTS = 3;

/**
 * ZooKeeper servers of our own on the loopback address, on ports that were free. Each ends with the process that started it,
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
    return this.#servers.map(({ ports }) => `${HOST}:${String(ports.client)}`).join(',');
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
    const all = await this.#choosePorts();
    this.#servers = all.map(
      (ports) =>
        new EnsembleServer(ports, all, {
          ...installation,
          archive,
          host: HOST,
          tickMs: this.#options.tickMs ?? DEFAULT_TICK_MS,
          path: path.join(root, `server-${String(ports.id)}`),
          logPath: path.join(logPath, `zookeeper-${String(ports.id)}.log`),
          log,
        }),
    );
    await Promise.all(this.#servers.map((server) => server.spawn()));
    if (this.#stopped) await this.#stopServers();
  }

  /** Second half of `start`: resolves when every server serves, which takes a quorum. */
  async ready(signal?: AbortSignal): Promise<void> {
    try {
      for (let attempt = 1; !(await this.#allServe(signal)); attempt++) {
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

  /** Stops all servers, followers first, so that no time goes into an election. Idempotent. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stopServers();
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stopServers(): Promise<void> {
    const leader = this.#servers.find(({ mode }) => mode === 'leader');
    const others = this.#servers.filter((server) => server !== leader);
    await Promise.all(others.map((server) => server.stop()));
    await leader?.stop();
  }

  async #choosePorts(): Promise<ServerPorts[]> {
    const count = this.#options.servers;
    const free = await freePorts(count * PORTS_PER_SERVER, HOST);
    return Array.from({ length: count }, (_, index) => {
      const [client = 0, quorum = 0, election = 0] = free.slice(index * PORTS_PER_SERVER);
      return { id: index + 1, client, quorum, election };
    });
  }

  /** False if a server dies again and again. */
  async #allServe(signal?: AbortSignal): Promise<boolean> {
    for (;;) {
      if (this.#stopped) throw cancelled('the ensemble was stopped');
      const modes = await Promise.all(this.#servers.map((server) => server.ask()));
      if (modes.every((mode) => mode !== 'none')) return true;
      if (this.#servers.some(({ restarts }) => restarts >= DEATHS_BEFORE_NEW_PORTS)) return false;
      await sleep(ASK_EVERY_MS, signal);
    }
  }
}
