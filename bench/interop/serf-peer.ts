import type { Peer, Shown } from './peer.js';
import { SerfAgent } from './serf-agent.js';

/** An agent of Serf. */
export class SerfPeer implements Peer {
  readonly kind = 'serf';
  readonly name: string;
  readonly address: string;
  readonly #host: string;
  readonly #profile: string;
  readonly #front: string;
  #agent: SerfAgent | undefined;
  #isPaused = false;
  #readUntil = 0;

  /** `front`: address that it tells others, if it is another. */
  constructor(name: string, host: string, profile: string, front = host) {
    this.name = name;
    this.address = `${front}:7946`;
    this.#front = front;
    this.#host = host;
    this.#profile = profile;
  }

  get isRunning(): boolean {
    return this.#agent !== undefined && !this.#isPaused;
  }

  async start(join: string | undefined): Promise<void> {
    const options = [`-profile=${this.#profile}`, `-advertise=${this.#front}:7946`];
    if (join !== undefined) options.push(`-join=${join}`);
    this.#readUntil = 0;
    this.#agent = await SerfAgent.start(this.name, this.#host, options);
  }

  pause(): void {
    this.#isPaused = true;
    this.#agent?.signal('SIGSTOP');
  }

  resume(): void {
    this.#isPaused = false;
    this.#agent?.signal('SIGCONT');
  }

  async kill(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    this.#isPaused = false;
    await agent?.kill();
  }

  async leave(): Promise<void> {
    const agent = this.#agent;
    this.#agent = undefined;
    await agent?.leave();
  }

  async list(): Promise<ReadonlyMap<string, Shown>> {
    const members = Object.entries((await this.#agent?.members()) ?? {});
    return new Map(
      // Who is leaving is still there.
      members.map(([name, { status }]) => [
        name,
        status === 'leaving' ? 'alive' : (status as Shown),
      ]),
    );
  }

  failuresTold(): readonly string[] {
    const log = this.#agent?.log ?? '';
    const told = [...log.slice(this.#readUntil).matchAll(/EventMemberFailed: (\S+)/g)];
    this.#readUntil = log.length;
    return told.map(([, name = '']) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
