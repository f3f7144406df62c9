import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { backoffMs } from '../../runtime/backoff.js';
import type { Logger } from '../../runtime/logger.js';
import type { ClassArchive } from './class-archive.js';
import { GuardedProcess } from './guarded-process.js';
import type { Exit } from './guarded-process.js';
import { askMode } from './server-mode.js';
import type { ServerMode } from './server-mode.js';
import { zooCfg } from './zoo-cfg.js';
import type { ServerPorts } from './zoo-cfg.js';

export interface EnsembleServerOptions {
  readonly java: string;
  readonly classPath: string;
  readonly archive: ClassArchive;
  readonly host: string;
  readonly tickMs: number;
  /** Folder of this server: `zoo.cfg` and `data/`. */
  readonly path: string;
  readonly logPath: string;
  /** Program with its arguments that turns into the server, such as one that enters a namespace. Default: none. */
  readonly within?: readonly string[] | undefined;
  /** Its process has begun or ended. */
  readonly onChange: () => void;
  readonly log: Logger;
}

const MAIN_ALONE = 'org.apache.zookeeper.server.ZooKeeperServerMain';
const MAIN_QUORUM = 'org.apache.zookeeper.server.quorum.QuorumPeerMain';
const RESTART = { initialMs: 200, maxMs: 10_000 };
/** A server that lived this long begins again with the shortest delay. */
const STEADY_MS = 30_000;
const STOP_GRACE_MS = 4000;
const ASK_TIMEOUT_MS = 500;
/**
 * Longest pause of a server that looks for a leader before it asks the others again, ms. ZooKeeper doubles the pause up to a minute: a server
 * that a busy machine kept from hearing the others in time would then stay outside for as long again, though they have long elected.
 */
const ASK_PEERS_MS = 1000;

/** One server of a managed ensemble: restarted when it dies, until it is stopped; then it is down until `resume`. */
export class EnsembleServer {
  readonly ports: ServerPorts;
  readonly #all: readonly ServerPorts[];
  readonly #options: EnsembleServerOptions;
  #process: GuardedProcess | undefined;
  #mode: ServerMode = 'none';
  #stopping = false;
  #restarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;

  constructor(ports: ServerPorts, all: readonly ServerPorts[], options: EnsembleServerOptions) {
    this.ports = ports;
    this.#all = all;
    this.#options = options;
  }

  /** 0 while it isn't running. */
  get pid(): number {
    return this.#process && !this.#process.exit ? this.#process.pid : 0;
  }

  /** As last asked. */
  get mode(): ServerMode {
    return this.pid === 0 ? 'none' : this.#mode;
  }

  /** How often it has died by itself. */
  get restarts(): number {
    return this.#restarts;
  }

  /** Writes its files and spawns it. */
  async spawn(): Promise<void> {
    const dataPath = path.join(this.#options.path, 'data');
    await mkdir(dataPath, { recursive: true });
    if (this.#all.length > 1) await writeFile(path.join(dataPath, 'myid'), `${this.#id}\n`);
    await writeFile(this.#cfgPath, zooCfg(this.ports, this.#all, { ...this.#options, dataPath }));
    this.#run();
  }

  async ask(): Promise<ServerMode> {
    const { host } = this.#options;
    this.#mode = await askMode(this.ports.host ?? host, this.ports.client, ASK_TIMEOUT_MS);
    return this.mode;
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#restartTimer);
    const exit = await this.#process?.stop(STOP_GRACE_MS);
    if (exit && this.#makesArchive) await this.#options.archive.keep(endedCleanly(exit), this.#log);
  }

  /** After `stop`: runs it again, with its data and at its ports. */
  resume(): void {
    if (!this.#stopping) return;
    this.#stopping = false;
    this.#restarts = 0;
    this.#mode = 'none';
    this.#run();
  }

  get #id(): string {
    return String(this.ports.id);
  }

  get #log(): Logger {
    return this.#options.log;
  }

  get #cfgPath(): string {
    return path.join(this.#options.path, 'zoo.cfg');
  }

  /** One server writes the class archive for all. */
  get #makesArchive(): boolean {
    return this.ports.id === 1;
  }

  #run(): void {
    const { java, classPath, archive, logPath } = this.#options;
    const command = [
      ...(this.#options.within ?? []),
      java,
      ...archive.flags(this.#makesArchive && this.#restarts === 0),
      `-Dzookeeper.fastleader.maxNotificationInterval=${String(ASK_PEERS_MS)}`,
      '-Dorg.slf4j.simpleLogger.showDateTime=true',
      '-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS',
      '-cp',
      classPath,
      this.#all.length > 1 ? MAIN_QUORUM : MAIN_ALONE,
      this.#cfgPath,
    ];
    const startedAtMs = performance.now();
    const running = new GuardedProcess(command, logPath);
    this.#process = running;
    this.#options.onChange();
    void running.exited.then((exit) => {
      this.#options.onChange();
      if (!this.#stopping) this.#restartLater(exit, performance.now() - startedAtMs);
    });
  }

  #restartLater(exit: Exit, livedMs: number): void {
    const attempt = livedMs > STEADY_MS ? 1 : this.#restarts + 1;
    this.#restarts = attempt;
    const delayMs = Math.round(backoffMs(attempt, RESTART));
    const how = exit.signal === null ? { code: exit.code } : { signal: exit.signal };
    this.#log.warn({ server: this.ports.id, ...how, delayMs }, 'a zookeeper server died');
    this.#restartTimer = setTimeout(() => {
      this.#run();
    }, delayMs);
    this.#restartTimer.unref();
  }
}

/** The JVM ends with 143 after a SIGTERM that it heard. */
function endedCleanly({ code }: Exit): boolean {
  return code === 0 || code === 143;
}
