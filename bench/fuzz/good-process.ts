import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import type { Target } from './fuzzed-data-center.js';
import type { Service } from './good-clients.js';

/** Those who mean well, in a process of their own: what the attackers do to themselves is not measured. */
export class GoodProcess implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor(targets: readonly Target[]) {
    const script = fileURLToPath(new URL('./good-clients-process.js', import.meta.url));
    this.#child = fork(script, [JSON.stringify(targets)]);
  }

  /** Ends their calls; how they were served. */
  async services(): Promise<readonly Service[]> {
    this.#child.send('stop');
    const [services] = (await once(this.#child, 'message')) as [readonly Service[]];
    return services;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    if (this.#child.connected) this.#child.disconnect();
    await ended;
  }
}
