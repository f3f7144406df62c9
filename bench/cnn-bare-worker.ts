import { readFile } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';

import { InferenceSession, Tensor } from 'onnxruntime-node';

import { DEFAULT_CNN_LIMITS } from '../services/cnn/limits.js';
import { decodePicture } from '../services/cnn/pictures/picture.js';
import { PixelWriter, shapeOf } from '../services/cnn/pictures/tensor.js';
import type { BareShare } from './cnn-bare-process.js';
import type { BareSetup, BareTask } from './cnn-bare.js';

/** One worker thread of the bare loop: decode and run, or run alone, until the time is over. */
class Loop {
  readonly #setup: BareSetup;
  readonly #session: InferenceSession;
  readonly #writer: PixelWriter;
  readonly #data: Float32Array;
  readonly #tensor: Tensor;

  constructor(setup: BareSetup, session: InferenceSession) {
    const { input, batch } = setup;
    this.#setup = setup;
    this.#session = session;
    this.#writer = new PixelWriter(input);
    this.#data = new Float32Array(this.#writer.length * batch);
    this.#tensor = new Tensor('float32', this.#data, shapeOf(input, batch));
  }

  async run({ arm, durationMs, lone }: BareTask): Promise<BareShare> {
    const { batch, input, output } = this.#setup;
    const count = lone ? 1 : batch;
    const tensor = lone
      ? new Tensor('float32', this.#data.subarray(0, this.#writer.length), shapeOf(input))
      : this.#tensor;
    const timesMs: number[] = [];
    let requests = 0;
    const startedAt = performance.now();
    for (let from = startedAt; from - startedAt < durationMs; requests += count) {
      if (arm === 'encoded') await this.#decode(count);
      await this.#session.run({ [input.name]: tensor }, [output]);
      const now = performance.now();
      timesMs.push(now - from);
      from = now;
    }
    return { requests, elapsedMs: performance.now() - startedAt, timesMs };
  }

  async #decode(count: number): Promise<void> {
    const { picture, input } = this.#setup;
    for (let at = 0; at < count; at++) {
      const { data } = await decodePicture(picture, input, DEFAULT_CNN_LIMITS);
      this.#writer.write(data, this.#data, at * this.#writer.length);
    }
  }
}

async function prepare(setup: BareSetup): Promise<Loop> {
  const session = await InferenceSession.create(await readFile(setup.file), {
    intraOpNumThreads: setup.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    ...(setup.threads > 1 ? { extra: { session: { intra_op: { allow_spinning: '0' } } } } : {}),
  });
  return new Loop(setup, session);
}

let loop: Promise<Loop> | undefined;
parentPort?.on('message', (message: BareSetup | BareTask) => {
  if ('file' in message) {
    loop = prepare(message);
    void loop.then(() => parentPort?.postMessage({ ready: true }));
  } else
    void loop?.then((ready) => ready.run(message)).then((share) => parentPort?.postMessage(share));
});
