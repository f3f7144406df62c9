import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

import type { CoordinatorConfig } from '../../config/node-config.js';
import type { Coordinator, Member, MemberRecord } from '../../zookeeper/coordinator.js';

export function record(id: string, type = 'math', instance = `instance of ${id}`): MemberRecord {
  return {
    id,
    type,
    address: '127.0.0.1:1',
    metricsAddress: '127.0.0.1:2',
    dataAddress: '127.0.0.1:3',
    pid: process.pid,
    instance,
    version: '0.0.0',
    startedAt: new Date(0).toISOString(),
    routing: 'leader',
  };
}

export interface MemberProcessOptions {
  readonly config: CoordinatorConfig;
  readonly dataCenter: string;
  readonly secret: string;
  readonly id: string;
  readonly type?: string;
  readonly instance?: string;
}

/** A member in a process of its own, which can be killed or frozen. */
export class MemberProcess {
  readonly #child: ChildProcess;
  readonly #said: string[] = [];
  readonly #events = new EventEmitter();

  private constructor(child: ChildProcess, output: Readable) {
    this.#child = child;
    createInterface(output).on('line', (line) => {
      this.#said.push(line);
      this.#events.emit('line');
    });
  }

  /** Resolves when it is registered. */
  static async start(options: MemberProcessOptions): Promise<MemberProcess> {
    const file = path.join(path.dirname(fileURLToPath(import.meta.url)), 'member-process.js');
    const child = spawn(process.execPath, [file, JSON.stringify(options)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const member = new MemberProcess(child, child.stdout);
    await member.says('registered');
    return member;
  }

  /** Resolves when it has said or logged that. */
  async says(text: string): Promise<void> {
    while (!this.#said.some((line) => line.includes(text))) await once(this.#events, 'line');
  }

  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** Resolves with the members as soon as they are as `condition` says. */
export function membersWhen(
  coordinator: Coordinator,
  condition: (members: readonly Member[]) => boolean,
): Promise<readonly Member[]> {
  return new Promise((resolve) => {
    const check = (members: readonly Member[]): void => {
      if (!condition(members)) return;
      stop();
      resolve(members);
    };
    const stop = coordinator.onMembers(check);
    check(coordinator.members());
  });
}

/** Resolves when `condition` holds, looking after each change of `source`. */
export function when(
  subscribe: (listener: () => void) => () => void,
  condition: () => boolean,
): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!condition()) return;
      stop();
      resolve();
    };
    const stop = subscribe(check);
    check();
  });
}
