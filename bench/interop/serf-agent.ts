import { execFile, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';

import { sleep } from '../../runtime/deadline.js';

const run = promisify(execFile);
const COMMAND_TIMEOUT_MS = 20_000;
const ASKED_EVERY_MS = 200;
const KEPT_LOG_LENGTH = 1_000_000;

/** Why agents of Serf can't be started here; undefined = they can. Debian has them in the package serf. */
export function withoutSerf(): string | undefined {
  const found = spawnSync('serf', ['version'], { stdio: 'ignore' });
  return found.status === 0 ? undefined : 'serf is not installed: apt-get install serf';
}

/** What `serf members` says of one. */
export interface SerfView {
  readonly status: string;
  readonly tags: Readonly<Record<string, string>>;
}

/** An agent of Serf on an address of its own within 127.0.0.0/8. */
export class SerfAgent implements AsyncDisposable {
  readonly name: string;
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #rpc: string;
  #log = '';

  private constructor(name: string, host: string, child: ChildProcess) {
    this.name = name;
    this.address = `${host}:7946`;
    this.#rpc = `-rpc-addr=${host}:7373`;
    this.#child = child;
    // Its output has to be read on, or it would end.
    child.stdout?.on('data', (data: Buffer) => {
      this.#log = (this.#log + data.toString()).slice(-KEPT_LOG_LENGTH);
    });
    child.stderr?.resume();
  }

  /** Resolves when it serves. */
  static async start(
    name: string,
    host: string,
    options: readonly string[] = [],
  ): Promise<SerfAgent> {
    const args = ['agent', `-node=${name}`, `-bind=${host}:7946`, `-rpc-addr=${host}:7373`];
    const child = spawn('serf', [...args, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
    const agent = new SerfAgent(name, host, child);
    await agent.#started();
    return agent;
  }

  /** All that it printed. */
  get log(): string {
    return this.#log;
  }

  /** What a command of `serf` about this agent prints. Rejects where it ends with another code than 0. */
  async ask(command: string, ...args: readonly string[]): Promise<string> {
    const options = { timeout: COMMAND_TIMEOUT_MS };
    const { stdout } = await run('serf', [command, this.#rpc, ...args], options);
    return stdout;
  }

  /** By name. */
  async members(): Promise<Record<string, SerfView>> {
    const { members } = JSON.parse(await this.ask('members', '-format=json')) as {
      members: (SerfView & { name: string })[];
    };
    return Object.fromEntries(members.map((one) => [one.name, one]));
  }

  /** Asks until it is so. */
  async until(isSo: (members: Record<string, SerfView>) => boolean): Promise<void> {
    while (!isSo(await this.members())) await sleep(ASKED_EVERY_MS);
  }

  /** Reads until this was printed. */
  async printed(text: string): Promise<void> {
    while (!this.#log.includes(text)) {
      if (this.#hasEnded) throw new Error(`serf ended: ${this.#log}`);
      await once(this.#child.stdout ?? this.#child, 'data');
    }
  }

  /** SIGSTOP, SIGCONT. */
  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Says goodbye. */
  async leave(): Promise<void> {
    await this.#end('SIGINT');
  }

  /** Ends it at once, without a word. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasEnded) await this.kill();
  }

  get #hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }

  async #started(): Promise<void> {
    const ended = once(this.#child, 'exit').then(() => {
      throw new Error(`serf did not start: ${this.#log}`);
    });
    const serves = this.printed('Serf agent starting').then(() => this.printed('EventMemberJoin'));
    await Promise.race([serves, ended]);
    ended.catch(() => undefined);
  }
}
