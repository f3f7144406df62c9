import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import type { MemberStatus } from '../../launcher/member-status.js';
import type { RunRecord } from '../../launcher/run-file.js';
import { assert } from '../suite.js';
import type { Test, TestOptions } from '../suite.js';
import { StartedCommand } from './started-command.js';
import type { CommandResult } from './started-command.js';

/** The checkout: tests run from dist/test/end-to-end. */
export const checkout = fileURLToPath(new URL('../../../', import.meta.url));

export interface Status {
  readonly coordinator: string;
  readonly members: readonly MemberStatus[];
}

const POLL_MS = 50;
/** Signals that end the tests: Ctrl-C, and the watchdog of `test/run.ts`. */
const ABANDONING = ['SIGINT', 'SIGTERM'] as const;

/**
 * A state folder of its own in which the real `./datacenter` runs, from another working folder, with standard input that is no
 * terminal. Disposing it stops whatever was started in it.
 */
export class LiveDataCenter implements AsyncDisposable {
  /** Outside of the state folder; holds what a test wants to keep. */
  readonly folder: string;
  readonly statePath: string;
  readonly #settings: NodeJS.ProcessEnv;
  readonly #started: StartedCommand[] = [];

  private constructor(folder: string, settings: NodeJS.ProcessEnv) {
    this.folder = folder;
    this.statePath = path.join(folder, 'state');
    this.#settings = settings;
    for (const signal of ABANDONING) process.once(signal, this.#abandon);
  }

  /** Starts nothing. `settings`: FRACTORY_SECTION_KEY variables. */
  static async create(settings: NodeJS.ProcessEnv = {}): Promise<LiveDataCenter> {
    return new LiveDataCenter(await mkdtemp(path.join(tmpdir(), 'fractory-live-')), settings);
  }

  /** One that serves. */
  static async up(settings: NodeJS.ProcessEnv = {}, ...args: string[]): Promise<LiveDataCenter> {
    const dataCenter = await LiveDataCenter.create(settings);
    try {
      await dataCenter.ok('up', '--detach', ...args);
      return dataCenter;
    } catch (error) {
      await dataCenter[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Starts a command of `./datacenter`. */
  start(...args: string[]): StartedCommand {
    return this.startIn(checkout, ...args);
  }

  /** Starts a command of the `./datacenter` of another checkout, in this state folder. */
  startIn(root: string, ...args: string[]): StartedCommand {
    const command = new StartedCommand(path.join(root, 'datacenter'), args, {
      cwd: this.folder,
      environment: this.environment(),
    });
    this.#started.push(command);
    return command;
  }

  /** Runs a command to its end, however it ends. */
  run(...args: string[]): Promise<CommandResult> {
    return this.start(...args).ended;
  }

  /** Runs a command that has to succeed. */
  async ok(...args: string[]): Promise<CommandResult> {
    const result = await this.run(...args);
    assert.is(result.code, 0, `./datacenter ${args.join(' ')}: ${result.stdout}${result.stderr}`);
    return result;
  }

  /** Runs a command with `--json`; it has to succeed and to print one object. */
  async json<T>(...args: string[]): Promise<T> {
    const { stdout } = await this.ok(...args, '--json');
    return JSON.parse(stdout) as T;
  }

  status(): Promise<Status> {
    return this.json<Status>('status');
  }

  /** A member as `status` has it. */
  async member(id: string): Promise<MemberStatus> {
    const { members } = await this.status();
    const found = members.find((member) => member.id === id);
    if (found) return found;
    throw new Error(`no member ${id} among ${members.map((member) => member.id).join(', ')}`);
  }

  /** The leader of a type as `status` has it. */
  async leader(type: string): Promise<MemberStatus> {
    const { members } = await this.status();
    const [leader, ...others] = members.filter((one) => one.type === type && one.leader);
    if (!leader || others.length > 0) throw new Error(`${type} has not one leader`);
    return leader;
  }

  /** Asks `status` again until it is as wanted. */
  async statusWhen(
    wanted: (members: readonly MemberStatus[]) => boolean,
    signal: AbortSignal,
  ): Promise<readonly MemberStatus[]> {
    for (;;) {
      const { members } = await this.status();
      if (wanted(members)) return members;
      signal.throwIfAborted();
    }
  }

  async record(): Promise<RunRecord> {
    return JSON.parse(await readFile(path.join(this.statePath, 'run.json'), 'utf8')) as RunRecord;
  }

  /** Pids of the launcher and of all that it started. */
  async pids(): Promise<number[]> {
    const { launcher, processes } = await this.record();
    return [launcher.pid, ...processes.map(({ pid }) => pid)];
  }

  environment(): NodeJS.ProcessEnv {
    return { ...process.env, NO_COLOR: '1', FRACTORY_STATE: this.statePath, ...this.#settings };
  }

  /** Pids of all processes that know of this state folder, by their command line or environment. */
  async processes(): Promise<number[]> {
    const pids = process.platform === 'linux' ? await readdir('/proc') : [];
    const found = await Promise.all(
      pids.filter((pid) => /^\d+$/.test(pid)).map((pid) => this.#isOurs(pid)),
    );
    return found.flat();
  }

  /** Resolves when no process of this state folder is left, and none of those given. */
  async nothingLeft(pids: readonly number[], signal: AbortSignal): Promise<void> {
    for (;;) {
      const left = [...(await this.processes()), ...pids.filter(isAlive)];
      if (left.length === 0) return;
      if (signal.aborted) throw new Error(`still there: ${left.join(', ')}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { code, stderr } = await this.run('down');
    for (const command of this.#started) command.signal('SIGKILL');
    await Promise.all(this.#started.map(({ ended }) => ended));
    for (const pid of await this.processes()) process.kill(pid, 'SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
    for (const signal of ABANDONING) process.off(signal, this.#abandon);
    assert.is(code, 0, stderr);
  }

  /** The launcher is in a process group of its own: it is told that nobody wants it any more. */
  readonly #abandon = (): void => {
    setImmediate(() => process.exit(130));
    for (const command of this.#started) command.signal('SIGTERM');
    const file = path.join(this.statePath, 'run.json');
    if (!existsSync(file)) return;
    const { launcher } = JSON.parse(readFileSync(file, 'utf8')) as RunRecord;
    if (isAlive(launcher.pid)) process.kill(launcher.pid, 'SIGTERM');
  };

  async #isOurs(pid: string): Promise<number[]> {
    try {
      const [command, environment] = await Promise.all(
        ['cmdline', 'environ'].map((file) => readFile(`/proc/${pid}/${file}`, 'utf8')),
      );
      return `${command ?? ''}${environment ?? ''}`.includes(this.folder) ? [Number(pid)] : [];
    } catch {
      // It has ended meanwhile, or belongs to somebody else.
      return [];
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** One fixture for all tests of a file: opened by the first that asks. The last test closes it, and says so. */
export class Shared<T extends AsyncDisposable> {
  readonly #open: () => Promise<T>;
  #opened: Promise<T> | undefined;

  constructor(open: () => Promise<T>) {
    this.#open = open;
  }

  get(): Promise<T> {
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async close(): Promise<void> {
    const opened = this.#opened;
    if (opened) await (await opened)[Symbol.asyncDispose]();
  }
}

/** The last test of a suite: with the data center everything ends that belonged to it. */
export function leavesNothing(
  test: Test,
  shared: Shared<LiveDataCenter>,
  options: TestOptions,
): void {
  test(
    'in the end nothing is left',
    async ({ signal }) => {
      const dataCenter = await shared.get();
      const pids = await dataCenter.pids();
      await shared.close();
      await dataCenter.nothingLeft(pids, signal);
    },
    options,
  );
}
