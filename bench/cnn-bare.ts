import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { Card } from '../services/cnn/card.js';

/** What the process of the bare loop is started with: the first message. */
export interface BareSetup {
  readonly file: string;
  readonly input: Card['input'];
  readonly output: string;
  readonly workers: number;
  readonly threads: number;
  readonly batch: number;
  /** A picture's file. */
  readonly picture: Uint8Array;
}

/** What it is asked for then, one after the other. `decoded`: ready tensors; `encoded`: decode, then run. `lone`: one worker only, each run timed. */
export interface BareTask {
  readonly arm: 'decoded' | 'encoded';
  readonly durationMs: number;
  readonly lone: boolean;
}

export interface BareResult {
  readonly perSecond: number;
  readonly p50Ms: number;
}

/** A process whose worker threads do nothing but run a model, over and over: what the hardware can do. */
export class BareLoop implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(setup: BareSetup): Promise<BareLoop> {
    const script = fileURLToPath(new URL('./cnn-bare-process.js', import.meta.url));
    const child = fork(script, { serialization: 'advanced' });
    const loop = new BareLoop(child);
    await loop.#ask(setup);
    return loop;
  }

  measure(task: BareTask): Promise<BareResult> {
    return this.#ask(task) as Promise<BareResult>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await ended;
  }

  #ask(message: BareSetup | BareTask): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const fail = (code: number | null): void => {
        reject(new Error(`the bare loop ended with ${String(code)}`));
      };
      this.#child.once('exit', fail);
      this.#child.once('message', (result) => {
        this.#child.off('exit', fail);
        resolve(result);
      });
      this.#child.send(message);
    });
  }
}
