import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { RunRecord } from '../../launcher/run-file.js';
import { isRunning } from '../../launcher/process-identity.js';

const here = path.dirname(fileURLToPath(import.meta.url));
const launcherMain = path.resolve(here, '../../launcher/main.js');

/** What a command did. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StubNodes {
  readonly instances?: number;
  readonly behaviour?: 'serve' | 'die' | 'deaf' | 'once' | 'lost';
}

/** A command that runs: what it has said so far, and how it ends. */
export interface RunningCommand {
  readonly args: readonly string[];
  readonly process: ChildProcess;
  readonly ended: Promise<CommandResult>;
  /** Resolves when the command has said this on standard error or output. */
  said(text: string): Promise<void>;
}

/** A state folder and an ini file of its own with stub nodes; disposing it stops whatever was started in it. */
export class StubDataCenter implements AsyncDisposable {
  readonly folder: string;
  readonly statePath: string;
  readonly #started: RunningCommand[] = [];

  private constructor(folder: string) {
    this.folder = folder;
    this.statePath = path.join(folder, 'state');
  }

  static async create(
    nodes: Readonly<Record<string, StubNodes>>,
    zookeeper = 'enabled = false',
  ): Promise<StubDataCenter> {
    const folder = await mkdtemp(path.join(tmpdir(), 'fractory-launcher-'));
    const sections = await Promise.all(
      Object.entries(nodes).map(async ([type, { instances = 1, behaviour = 'serve' }]) => {
        const main = path.join(folder, type, 'main.mjs');
        await mkdir(path.dirname(main));
        await writeFile(main, `import ${JSON.stringify(path.join(here, 'stub-node.js'))};\n`);
        await writeFile(
          path.join(path.dirname(main), 'settings.mjs'),
          `export { settings } from ${JSON.stringify(path.join(here, 'stub-settings.js'))};\n`,
        );
        return [
          `[${type}_controller]`,
          `paths_to_controller = ${main}`,
          `instances = ${String(instances)}`,
          `behaviour = ${behaviour}`,
        ].join('\n');
      }),
    );
    const names = Object.keys(nodes).map((type) => `${type}_controller`);
    const ini = [
      '[DataCenter]\nname = stubs\nstorage_path = .fractory/storage',
      `[ZooKeeper]\n${zookeeper}`,
      '[Limits]\nshutdown_grace_ms = 0',
      `[Controllers]\ncontroller_names = ${names.join(', ')}`,
      ...sections,
    ];
    await writeFile(path.join(folder, 'data_center.ini'), ini.join('\n'));
    return new StubDataCenter(folder);
  }

  /** Starts a command of the launcher in this data center. */
  start(...args: string[]): RunningCommand {
    const child = spawn(process.execPath, [launcherMain, ...args], {
      cwd: this.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.environment(),
    });
    const command = new Started(child, args);
    this.#started.push(command);
    return command;
  }

  /** Runs a command to its end. */
  run(...args: string[]): Promise<CommandResult> {
    return this.start(...args).ended;
  }

  environment(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      NO_COLOR: '1',
      FRACTORY_STATE: this.statePath,
      FRACTORY_CONFIG: path.join(this.folder, 'data_center.ini'),
    };
  }

  async record(): Promise<RunRecord> {
    return JSON.parse(await readFile(path.join(this.statePath, 'run.json'), 'utf8')) as RunRecord;
  }

  async log(member: string): Promise<string> {
    return readFile(path.join(this.statePath, 'logs', `${member}.log`), 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#started.some(({ args }) => args[0] === 'up')) await this.run('down');
    for (const command of this.#started) command.process.kill('SIGKILL');
    await Promise.all(this.#started.map(({ ended }) => ended));
    await rm(this.folder, { recursive: true, force: true });
  }
}

class Started implements RunningCommand {
  readonly args: readonly string[];
  readonly process: ChildProcess;
  readonly ended: Promise<CommandResult>;
  readonly #listeners = new Set<() => void>();
  #stdout = '';
  #stderr = '';

  constructor(child: ChildProcess, args: readonly string[]) {
    this.args = args;
    this.process = child;
    child.stdout?.on('data', (data: Buffer) => {
      this.#stdout += data.toString();
      for (const listener of this.#listeners) listener();
    });
    child.stderr?.on('data', (data: Buffer) => {
      this.#stderr += data.toString();
      for (const listener of this.#listeners) listener();
    });
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => {
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  said(text: string): Promise<void> {
    const spoken = new Promise<void>((resolve) => {
      const look = (): void => {
        if (!(this.#stdout + this.#stderr).includes(text)) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      look();
    });
    const silent = this.ended.then(({ code, stderr }) => {
      if ((this.#stdout + this.#stderr).includes(text)) return;
      throw new Error(`it ended with ${String(code)} and never said ${text}: ${stderr}`);
    });
    return Promise.race([spoken, silent]);
  }
}

/** Resolves when none of these processes runs any more. */
export async function allGone(
  processes: RunRecord['processes'],
  signal: AbortSignal,
): Promise<void> {
  for (const known of processes)
    while (await isRunning(known)) {
      signal.throwIfAborted();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
}
