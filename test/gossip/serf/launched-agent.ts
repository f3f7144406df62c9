import path from 'node:path';

import { projectRoot } from '../../../config/paths.js';
import { StartedCommand } from '../../end-to-end/started-command.js';

/** `./datacenter gossip` with these flags, in a process of its own. */
export class LaunchedAgent implements AsyncDisposable {
  readonly #command: StartedCommand;

  private constructor(command: StartedCommand) {
    this.#command = command;
  }

  /** Resolves when it gossips. */
  static async start(...flags: readonly string[]): Promise<LaunchedAgent> {
    const launcher = path.join(projectRoot, 'datacenter');
    const agent = new LaunchedAgent(new StartedCommand(launcher, ['gossip', ...flags]));
    await agent.said('gossips at');
    return agent;
  }

  said(text: string): Promise<void> {
    return this.#command.said(text);
  }

  /** Says goodbye. */
  async stop(): Promise<void> {
    this.#command.signal('SIGTERM');
    await this.#command.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#command.signal('SIGKILL');
    await this.#command.ended;
  }
}
