import { Worker } from 'node:worker_threads';

import type { Batch } from '../engine/engine.js';
import type { AugmentData, AugmentReply, AugmentTask } from './messages.js';

/** Batches that are made while the engine computes. */
const AHEAD = 3;

/** What one batch shows. */
export type BatchPlan = Omit<AugmentTask, 'buffer'>;

/** Batches of views, made a few steps ahead in a thread of its own, in the order asked for. Owns the thread. */
export class BatchFeed implements AsyncDisposable {
  readonly #worker: Worker;
  readonly #labels: Int32Array;
  readonly #free: ArrayBuffer[] = [];
  readonly #answers: ArrayBuffer[] = [];
  #failure: unknown;
  #wake: () => void = () => undefined;

  /** `labels`: class of each picture. */
  constructor(data: AugmentData, labels: Int32Array) {
    this.#labels = labels;
    this.#worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: data });
    this.#worker.on('message', ({ buffer }: AugmentReply) => {
      this.#answers.push(buffer);
      this.#wake();
    });
    this.#worker.on('error', (error) => {
      this.#failure = error;
      this.#wake();
    });
  }

  /** The pixels of a batch are overwritten after the next one was asked for. */
  async *batches(plans: Iterable<BatchPlan>): AsyncGenerator<Batch, void> {
    const waiting: BatchPlan[] = [];
    const coming = plans[Symbol.iterator]();
    const ask = (): void => {
      const next = coming.next();
      if (next.done === true) return;
      this.#ask(next.value);
      waiting.push(next.value);
    };
    for (let count = 0; count < AHEAD; count++) ask();
    try {
      for (let plan = waiting.shift(); plan; plan = waiting.shift()) {
        const buffer = await this.#answer();
        const { size, pictures } = plan;
        const labels = pictures.map((picture) => this.#labels[picture] ?? 0);
        yield { pixels: new Float32Array(buffer), labels, size };
        this.#free.push(buffer);
        ask();
      }
    } finally {
      // What was made in vain must not be taken for what is asked for next.
      while (waiting.pop()) this.#free.push(await this.#answer());
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#worker.terminate();
  }

  #ask(plan: BatchPlan): void {
    const bytes = plan.pictures.length * 3 * plan.size * plan.size * 4;
    const known = this.#free.pop();
    const buffer = known?.byteLength === bytes ? known : new ArrayBuffer(bytes);
    this.#worker.postMessage({ ...plan, buffer } satisfies AugmentTask, [buffer]);
  }

  async #answer(): Promise<ArrayBuffer> {
    for (;;) {
      const answer = this.#answers.shift();
      if (answer) return answer;
      if (this.#failure !== undefined)
        throw new Error('the thread that makes views has died', { cause: this.#failure });
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}
