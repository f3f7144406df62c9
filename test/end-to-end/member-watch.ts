import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { inside } from '../../launcher/network/network-commands.js';
import type { LiveDataCenter } from './live-data-center.js';

/** A registered member, as far as tests ask. */
export interface WatchedMember {
  readonly id: string;
  readonly type: string;
  readonly epoch: string;
  readonly leader: boolean;
}

/** A process in the network of a data center that tells of every change of its members. Ends with this fixture, or with us. */
export class MemberWatch implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #latest: readonly WatchedMember[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'exit');
    child.on('message', (members) => {
      this.#latest = members as WatchedMember[];
    });
  }

  static async start(dataCenter: LiveDataCenter): Promise<MemberWatch> {
    const script = fileURLToPath(new URL('./member-watch-main.js', import.meta.url));
    const { launcher } = await dataCenter.record();
    const network = `/proc/${String(launcher.pid)}/ns/net`;
    const [program, ...args] = inside(network, [process.execPath, script]);
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: dataCenter.environment(),
    });
    return new MemberWatch(child);
  }

  /** The members as soon as they are as wanted. */
  async when(
    wanted: (members: readonly WatchedMember[]) => boolean,
    signal: AbortSignal,
  ): Promise<readonly WatchedMember[]> {
    while (!wanted(this.#latest)) await once(this.#child, 'message', { signal });
    return this.#latest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.disconnect();
    await this.#ended;
  }
}
