import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { sleep, unlessAborted } from '../../runtime/deadline.js';
import { silentLogger } from '../../runtime/logger.js';
import type { Coordinator, Member } from '../../zookeeper/coordinator.js';
import { createCoordinator } from '../../zookeeper/create.js';

/** Known to whoever reads this: some of the attackers show it. */
export const SECRET = 'fuzzed';
export const DATA_CENTER = 'fuzz';
/** The coordinator among what is attacked. */
export const COORDINATOR = 'coordinator';

const TYPES = ['storage', 'block', 'math', 'cnn', 'application'] as const;
const START_MS = 30_000;
const SESSION_MS = 10_000;
const COLLECTED_MS = 700;
/** How much of what a process said before it died is shown, characters. */
const LAST_WORDS = 4096;
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');

const collecting = `--import ${new URL('../collect-on-signal.js', import.meta.url).href}`;

/** A process under attack. */
export interface Target {
  readonly id: string;
  readonly type: string;
  readonly pid: number;
  /** host:port of its gRPC services. */
  readonly address: string;
  readonly dataAddress?: string;
  readonly metricsAddress?: string;
}

/** A data center to attack: one node of every kind and the embedded coordinator, each in a process of its own, with no supervisor to hide a crash. */
export class FuzzedDataCenter implements AsyncDisposable {
  readonly statePath: string;
  readonly #children = new Map<string, ChildProcess>();
  readonly #exits: string[] = [];
  readonly #lastWords = new Map<string, string>();
  #coordinator: Coordinator | undefined;
  #targets: readonly Target[] = [];
  #epochs: readonly string[] = [];
  #isStopping = false;

  private constructor(statePath: string) {
    this.statePath = statePath;
  }

  /** An abort of `signal` ends the start; nothing stays then. */
  static async start(
    types: readonly string[] = TYPES,
    signal?: AbortSignal,
  ): Promise<FuzzedDataCenter> {
    const center = new FuzzedDataCenter(await mkdtemp(path.join(tmpdir(), 'fractory-fuzz-')));
    try {
      await center.#start(types, signal ?? new AbortController().signal);
      return center;
    } catch (error) {
      await center[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Nodes first, the coordinator last. */
  get targets(): readonly Target[] {
    return this.#targets;
  }

  /** Folders that no caller may hear of. */
  get folders(): readonly string[] {
    return [this.statePath, root];
  }

  /** What has gone wrong with the processes themselves: exits, and lives in the registry that were lost. */
  troubles(): readonly string[] {
    const epochs = epochsOf(this.#coordinator?.members() ?? []);
    const lost = this.#epochs.filter((epoch) => !epochs.includes(epoch));
    return [...this.#exits, ...lost.map((epoch) => `${epoch} is not registered any more`)];
  }

  /** Every process collects its garbage: what is left is what it holds. Resolves a moment later. */
  async collect(): Promise<void> {
    for (const child of this.#children.values()) child.kill('SIGWINCH');
    await sleep(COLLECTED_MS);
  }

  /** Lines of a process's log that tell of errors, with their stacks. */
  async errorsOf(id: string): Promise<string[]> {
    const text = await readFile(this.#logOf(id), 'utf8').catch(() => '');
    return text.split('\n').filter((line) => /"level":(50|60|"error"|"fatal")|^\s+at /.test(line));
  }

  /** The end of what a process that ended by itself said on stderr; empty of others. */
  lastWordsOf(id: string): string {
    return this.#lastWords.get(id) ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopping = true;
    await this.#coordinator?.close();
    for (const [id, child] of this.#children) if (id !== COORDINATOR) child.stdin?.end();
    await Promise.all(
      [...this.#children].map(async ([id, child]) => {
        if (id !== COORDINATOR) await ended(child);
      }),
    );
    const coordinator = this.#children.get(COORDINATOR);
    if (coordinator?.connected) coordinator.disconnect();
    if (coordinator) await ended(coordinator);
    await rm(this.statePath, { recursive: true, force: true });
  }

  async #start(types: readonly string[], signal: AbortSignal): Promise<void> {
    await unlessAborted(mkdir(path.join(this.statePath, 'logs')), signal);
    const script = fileURLToPath(new URL('./coordinator-process.js', import.meta.url));
    const coordinating = fork(script, [DATA_CENTER, SECRET], {
      ...{ silent: true, env: { ...process.env, NODE_OPTIONS: collecting } },
    });
    this.#keep(COORDINATOR, coordinating);
    const [address] = (await once(coordinating, 'message', { signal })) as [string];
    const config = path.join(this.statePath, 'data_center.ini');
    await unlessAborted(writeFile(config, ini(this.statePath, types)), signal);
    for (const type of types) this.#keep(`${type}-1`, this.#startNode(type, config, address));
    this.#coordinator = createCoordinator({
      config: { kind: 'embedded', connect: address, sessionTimeoutMs: SESSION_MS },
      ...{ dataCenter: DATA_CENTER, secret: SECRET, log: silentLogger() },
    });
    await unlessAborted(this.#coordinator.start(START_MS), signal);
    const registered = this.#registered(this.#coordinator, types.length);
    const members = await unlessAborted(registered, signal);
    this.#epochs = epochsOf(members);
    const nodes = members.map(({ id, type, pid, address: at, dataAddress, metricsAddress }) => ({
      ...{ id, type, pid, address: at },
      ...{ dataAddress, metricsAddress },
    }));
    const own = { id: COORDINATOR, type: COORDINATOR, pid: coordinating.pid ?? 0, address };
    this.#targets = [...nodes.sort((one, other) => (one.id < other.id ? -1 : 1)), own];
  }

  #startNode(type: string, config: string, coordinator: string): ChildProcess {
    const script = path.join(root, 'dist', 'controllers', type, 'main.js');
    const args = [script, '--config', config, '--name', `${type}-1`, '--type', type];
    return spawn(process.execPath, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NODE_OPTIONS: collecting,
        FRACTORY_STATE: this.statePath,
        FRACTORY_COORDINATOR: `embedded://${coordinator}`,
        FRACTORY_SECRET: SECRET,
        FRACTORY_SUPERVISED: '1',
      },
    });
  }

  #keep(id: string, child: ChildProcess): void {
    this.#children.set(id, child);
    const log = createWriteStream(this.#logOf(id));
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    let last = '';
    child.stderr?.on('data', (chunk: Buffer) => {
      last = `${last}${chunk.toString()}`.slice(-LAST_WORDS);
    });
    child.once('exit', (code, signal) => {
      if (this.#isStopping) return;
      this.#exits.push(`${id} ended with ${String(code ?? signal)}`);
    });
    child.once('close', () => {
      log.end();
      if (!this.#isStopping) this.#lastWords.set(id, last);
    });
  }

  #logOf(id: string): string {
    return path.join(this.statePath, 'logs', `${id}.log`);
  }

  #registered(coordinator: Coordinator, count: number): Promise<readonly Member[]> {
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        stop();
        reject(
          new Error(`not all of ${String(count)} nodes registered: ${this.#exits.join(', ')}`),
        );
      }, START_MS);
      const look = (): void => {
        if (coordinator.members().length < count) return;
        clearTimeout(late);
        stop();
        resolve(coordinator.members());
      };
      const stop = coordinator.onMembers(look);
      look();
    });
  }
}

const epochsOf = (members: readonly Member[]): string[] =>
  members.map(({ id, epoch }) => `${id} in epoch ${String(epoch)}`);

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Short leases and small caches: what was taken comes back within the experiment, and caches are full when it begins to count. */
function ini(statePath: string, types: readonly string[]): string {
  return [
    ...['[DataCenter]', `name = ${DATA_CENTER}`],
    `storage_path = ${path.join(statePath, 'storage')}`,
    ...['[Limits]', 'default_lease_ms = 1000', 'max_lease_ms = 2000', 'max_tree_nodes = 1024'],
    ...['max_remembered_runs = 50', 'max_remembered_results = 50', 'max_memory_bytes = 67108864'],
    ...['max_client_memory_bytes = 33554432', 'max_budget_ms = 10000', 'default_budget_ms = 5000'],
    ...['transfer_stall_ms = 2000', 'max_remembered_bytes = 4194304'],
    '[Controllers]',
    `controller_names = ${types.map((type) => `${type}_controller`).join(', ')}`,
    ...types.flatMap((type) => [
      `[${type}_controller]`,
      `paths_to_controller = controllers/${type}/main.ts`,
      `routing = ${type === 'storage' || type === 'application' ? 'leader' : 'any'}`,
      ...(SETTINGS[type] ?? []),
    ]),
    '',
  ].join('\n');
}

const SETTINGS: Readonly<Record<string, readonly string[]>> = {
  storage: ['max_file_bytes = 8388608'],
  block: ['capacity_bytes = 67108864'],
  cnn: [
    'workers = 1',
    'threads = 1',
    'tune = off',
    'max_data_set_bytes = 8388608',
    'max_data_sets_bytes = 33554432',
  ],
};
