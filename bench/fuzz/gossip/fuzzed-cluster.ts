import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export interface ClusterSetup {
  /** Plain members of memberlist, or an agent with a map and an HTTP face among members at Serf's level. */
  readonly level: 'members' | 'agents';
  /** Base64; empty = none. */
  readonly key: string;
  readonly label: string;
  /** Name of the member that is attacked. */
  readonly victim: string;
  readonly healthy: readonly string[];
}

/** How the members are. */
export interface ClusterVitals {
  readonly residentBytes: number;
  readonly heapBytes: number;
  /** Since the attack began, ms. */
  readonly longestStallMs: number;
  readonly p99StallMs: number;
  /** That the attacked one knows, made-up ones too. */
  readonly members: number;
  readonly packetsIn: number;
  readonly refuted: number;
  /** By reason, of all members. */
  readonly dropped: Readonly<Record<string, number>>;
  /** What nobody caught. */
  readonly errors: readonly string[];
  /** What those who are well saw of each other. */
  readonly trouble: readonly string[];
}

/** Where they are reached. */
export interface ClusterPorts {
  readonly port: number;
  readonly httpPort?: number;
  readonly peerPorts: readonly number[];
}

const KILL_GRACE_MS = 3000;

/** Members in a process of their own. */
export class FuzzedCluster implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly ports: ClusterPorts;

  private constructor(child: ChildProcess, ports: ClusterPorts) {
    this.#child = child;
    this.ports = ports;
  }

  static async start(setup: ClusterSetup): Promise<FuzzedCluster> {
    const script = fileURLToPath(new URL('./members-process.js', import.meta.url));
    const child = fork(script, [JSON.stringify(setup)], { execArgv: ['--expose-gc'] });
    const [ports] = (await once(child, 'message')) as [ClusterPorts];
    return new FuzzedCluster(child, ports);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  begin(): void {
    this.#child.send('begin');
  }

  async vitals(): Promise<ClusterVitals> {
    return (await this.#asked('vitals')) as ClusterVitals;
  }

  /** What is wrong with how they hear each other. */
  async pulse(): Promise<readonly string[]> {
    return (await this.#asked('pulse')) as readonly string[];
  }

  async #asked(word: string): Promise<unknown> {
    const told = once(this.#child, 'message');
    this.#child.send(word);
    const ended = once(this.#child, 'exit').then(() => {
      throw new Error('the members ended');
    });
    const [answer] = (await Promise.race([told, ended])) as [unknown];
    return answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.isRunning) return;
    const ended = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    const lastResort = setTimeout(() => this.#child.kill('SIGKILL'), KILL_GRACE_MS);
    await ended;
    clearTimeout(lastResort);
  }
}
