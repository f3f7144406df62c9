import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { silentLogger } from '../../../runtime/logger.js';
import { leaderOf } from '../../../zookeeper/coordinator.js';
import type { Coordinator, Member } from '../../../zookeeper/coordinator.js';
import { createCoordinator } from '../../../zookeeper/create.js';
import { EmbeddedCoordinator } from '../../../zookeeper/embedded/server.js';

const NAME = 'storage-members';
const SECRET = 'secret of the storage members';
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../../..');

export interface StorageMembersOptions {
  readonly members: number;
  readonly sessionTimeoutMs: number;
}

/** Storage nodes in processes of their own that share one folder, with a coordinator in this one. They can be killed, frozen and started again. */
export class StorageMembers implements AsyncDisposable {
  readonly #statePath: string;
  readonly #server: EmbeddedCoordinator;
  readonly #coordinator: Coordinator;
  readonly #children = new Map<string, ChildProcess>();

  private constructor(statePath: string, server: EmbeddedCoordinator, coordinator: Coordinator) {
    this.#statePath = statePath;
    this.#server = server;
    this.#coordinator = coordinator;
  }

  /** Resolves when all are registered. */
  static async start(options: StorageMembersOptions): Promise<StorageMembers> {
    // In memory where there is such a place: processes are killed here, machines are not.
    const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
    const statePath = await mkdtemp(path.join(place, 'fractory-members-'));
    const { sessionTimeoutMs } = options;
    await writeFile(path.join(statePath, 'data_center.ini'), iniFor(statePath, sessionTimeoutMs));
    const log = silentLogger();
    const server = new EmbeddedCoordinator({
      ...{ host: '127.0.0.1', dataCenter: NAME, secret: SECRET, log },
    });
    await server.start();
    const config = { kind: 'embedded', connect: server.address, sessionTimeoutMs } as const;
    const coordinator = createCoordinator({ config, dataCenter: NAME, secret: SECRET, log });
    await coordinator.start(10_000);
    const members = new StorageMembers(statePath, server, coordinator);
    const names = Array.from({ length: options.members }, (_, at) => `storage-${String(at + 1)}`);
    await Promise.all(names.map((name) => members.launch(name)));
    return members;
  }

  /** The folder that they serve. */
  get storagePath(): string {
    return path.join(this.#statePath, 'storage');
  }

  /** As the coordinator has it now. */
  get leader(): Member | undefined {
    return leaderOf(this.#coordinator.members(), 'storage');
  }

  /** Starts a member; resolves when this life of it is registered. */
  async launch(name: string): Promise<void> {
    const script = path.join(root, 'dist/controllers/storage/main.js');
    const config = path.join(this.#statePath, 'data_center.ini');
    const args = [script, '--config', config, '--name', name, '--type', 'storage'];
    const child = spawn(process.execPath, args, {
      stdio: ['pipe', 'ignore', 'inherit'],
      env: {
        ...process.env,
        FRACTORY_STATE: this.#statePath,
        FRACTORY_COORDINATOR: `embedded://${this.#server.address}`,
        FRACTORY_SECRET: SECRET,
        FRACTORY_SUPERVISED: '1',
      },
    });
    this.#children.set(name, child);
    await this.when(() => this.#coordinator.members().some(({ pid }) => pid === child.pid));
  }

  /** Resolves when the process is gone. */
  async kill(name: string): Promise<void> {
    const child = this.#child(name);
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  freeze(name: string): void {
    this.#child(name).kill('SIGSTOP');
  }

  thaw(name: string): void {
    this.#child(name).kill('SIGCONT');
  }

  /** Resolves when the list of members is as wanted. */
  async when(wanted: () => boolean): Promise<void> {
    if (wanted()) return;
    await new Promise<void>((resolve) => {
      const end = this.#coordinator.onMembers(() => {
        if (!wanted()) return;
        end();
        resolve();
      });
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const [name, child] of this.#children) {
      this.thaw(name);
      if (child.exitCode === null && child.signalCode === null) await this.kill(name);
    }
    await this.#coordinator.close();
    await this.#server.stop();
    await rm(this.#statePath, { recursive: true, force: true });
  }

  #child(name: string): ChildProcess {
    const child = this.#children.get(name);
    if (child) return child;
    throw new Error(`there is no member ${name}`);
  }
}

function iniFor(statePath: string, sessionTimeoutMs: number): string {
  return [
    '[DataCenter]',
    `name = ${NAME}`,
    `storage_path = ${path.join(statePath, 'storage')}`,
    '[ZooKeeper]',
    'tick_ms = 200',
    `session_timeout_ms = ${String(sessionTimeoutMs)}`,
    '[Controllers]',
    'controller_names = storage_controller',
    '[storage_controller]',
    'paths_to_controller = controllers/storage/main.ts',
    'routing = leader',
  ].join('\n');
}
