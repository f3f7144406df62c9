import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

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

  private constructor(name: string, host: string, child: ChildProcess) {
    this.name = name;
    this.address = `${host}:7946`;
    this.#rpc = `${host}:7373`;
    this.#child = child;
  }

  static async start(
    name: string,
    host: string,
    options: readonly string[] = [],
  ): Promise<SerfAgent> {
    const args = ['agent', `-node=${name}`, `-bind=${host}:7946`, `-rpc-addr=${host}:7373`];
    const child = spawn('serf', [...args, ...options], { stdio: ['ignore', 'pipe', 'pipe'] });
    await started(child);
    return new SerfAgent(name, host, child);
  }

  /** By name. */
  members(): Record<string, SerfView> {
    const args = ['members', `-rpc-addr=${this.#rpc}`, '-format=json'];
    const { stdout } = spawnSync('serf', args, { encoding: 'utf8' });
    const { members } = JSON.parse(stdout) as { members: (SerfView & { name: string })[] };
    return Object.fromEntries(members.map((one) => [one.name, one]));
  }

  /** Asks until it is so. */
  async until(isSo: (members: Record<string, SerfView>) => boolean): Promise<void> {
    while (!isSo(this.members())) await new Promise((resolve) => setTimeout(resolve, 200));
  }

  /** Says goodbye. */
  async leave(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGINT');
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await ended;
  }
}

/** Resolves when an agent serves; its output has to be read on, or it would end. */
function started(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let printed = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      if (printed.length > 100_000) return;
      printed += chunk.toString();
      if (printed.includes('EventMemberJoin') && printed.includes('Serf agent starting')) resolve();
    });
    child.stderr?.resume();
    child.once('exit', () => {
      reject(new Error(`serf did not start: ${printed}`));
    });
  });
}
