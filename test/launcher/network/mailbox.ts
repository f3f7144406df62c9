import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { on, once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { NetworkProcess } from './network-process.js';

/** A process on one link that sends datagrams and tells of those that arrive, in order. Ends with this fixture, or with us. */
export class Mailbox implements AsyncDisposable {
  readonly address: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  readonly #arrivals: AsyncIterator<unknown[]>;

  private constructor(address: string, child: ChildProcess) {
    this.address = address;
    this.#child = child;
    this.#ended = once(child, 'exit');
    this.#arrivals = on(child, 'message')[Symbol.asyncIterator]();
  }

  static async open(network: NetworkProcess, name: string): Promise<Mailbox> {
    const script = fileURLToPath(new URL('./mailbox-main.js', import.meta.url));
    const [program, ...args] = network.within(name);
    const address = network.addressOf(name);
    const child = spawn(program, [...args, process.execPath, script, address], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const mailbox = new Mailbox(address, child);
    await mailbox.next();
    return mailbox;
  }

  /** Resolves when they have left; whatever becomes of them then. */
  async send(to: Mailbox, ...texts: readonly string[]): Promise<void> {
    this.#child.send({ address: to.address, texts });
    const said = await this.next();
    if (said !== 'sent') throw new Error(`${said} arrived before all was sent`);
  }

  /** What arrives next. */
  async next(): Promise<string> {
    const { value } = (await this.#arrivals.next()) as { value: [string] };
    return value[0];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.disconnect();
    await this.#ended;
  }
}
