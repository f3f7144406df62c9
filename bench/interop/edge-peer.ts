import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

import { projectRoot } from '../../config/paths.js';
import type { Peer, Shown } from './peer.js';

const ASK_TIMEOUT_MS = 3000;

interface Named {
  readonly Name: string;
}

/** An edge agent of ours, as `./datacenter gossip` starts it. */
export class EdgePeer implements Peer {
  readonly kind = 'ours';
  readonly name: string;
  readonly address: string;
  readonly #host: string;
  readonly #profile: string;
  #child: ChildProcess | undefined;
  #isPaused = false;
  #http = '';
  #printed = '';
  #readUntil = 0;

  /** `front`: address that it tells others, if it is another. */
  constructor(name: string, host: string, profile: string, front = host) {
    this.name = name;
    this.address = `${front}:7946`;
    this.#host = host;
    this.#profile = profile;
  }

  get isRunning(): boolean {
    return this.#child !== undefined && !this.#isPaused;
  }

  async start(join: string | undefined): Promise<void> {
    const main = path.join(projectRoot, 'dist/launcher/main.js');
    const args = ['gossip', '--name', this.name, '--bind', `${this.#host}:7946`];
    args.push('--advertise', this.address);
    args.push('--http', `${this.#host}:0`, '--profile', this.#profile, '--tag', 'kind=ours');
    if (join !== undefined) args.push('--join', join);
    const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    this.#printed = '';
    this.#readUntil = 0;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (data: Buffer) => {
        this.#printed += data.toString();
      });
    await this.#said(child, /http:\/\/(\S+)/);
    this.#http = /http:\/\/(\S+)/.exec(this.#printed)?.[1] ?? '';
    // It says so of itself first.
    if (join !== undefined) await this.#said(child, new RegExp(` join +(?!${this.name} )\\S`));
  }

  pause(): void {
    this.#isPaused = true;
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#isPaused = false;
    this.#child?.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL');
  }

  async leave(): Promise<void> {
    await this.#end('SIGTERM');
  }

  async list(): Promise<ReadonlyMap<string, Shown>> {
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
    const response = await fetch(`http://${this.#http}/members`, { signal });
    const { Active, Dead, Left } = (await response.json()) as Record<string, Named[]>;
    const shown = (members: Named[] = [], as: Shown): [string, Shown][] =>
      members.map(({ Name }) => [Name, as]);
    return new Map([...shown(Active, 'alive'), ...shown(Dead, 'failed'), ...shown(Left, 'left')]);
  }

  failuresTold(): readonly string[] {
    const told = [...this.#printed.slice(this.#readUntil).matchAll(/^\S+ fail +(\S+)/gm)];
    this.#readUntil = this.#printed.length;
    return told.map(([, name = '']) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  async #said(child: ChildProcess, what: RegExp): Promise<void> {
    const over = once(child, 'exit').then(() => {
      throw new Error(`${this.name} ended: ${this.#printed}`);
    });
    over.catch(() => undefined);
    while (!what.test(this.#printed))
      await Promise.race([once(child.stdout ?? child, 'data'), over]);
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    this.#isPaused = false;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}
