import { status } from '@grpc/grpc-js';
import { InferenceSession, Tensor } from 'onnxruntime-node';

import { FractoryError } from '../../../../runtime/errors.js';
import { blockSize } from './block-size.js';
import { blockedKernels } from './blocked-kernels.js';
import type { Batch, EngineOptions, EngineState, StepResult, TrainingEngine } from './engine.js';
import { inferenceGraph } from './inference-graph.js';
import type { KernelMaker } from './kernels.js';
import {
  PICTURE_CHANNELS,
  architectureOf,
  checkNetwork,
  sizeStep,
  type Architecture,
} from './networks.js';
import { parametersOf, statisticsOf, Vector } from './parameters.js';
import { plainKernels } from './plain-kernels.js';
import { lengthOf, trainingGraph, VECTORS, type VectorName } from './training-graph.js';
import { initialVectors, readState, stateOf, type Vectors } from './vectors.js';

export interface EngineParts {
  /** Default: the fastest that this machine and the network's widths allow. */
  readonly kernels?: KernelMaker;
}

/** Makes an engine with new weights. */
export async function createTrainingEngine(
  options: EngineOptions,
  parts: EngineParts = {},
): Promise<TrainingEngine> {
  checkNetwork(options.network);
  const kernels = parts.kernels ?? (await kernelsFor(options.network.widths));
  return new Engine(options, kernels);
}

async function kernelsFor(widths: readonly number[]): Promise<KernelMaker> {
  const block = await blockSize();
  const fits = block > PICTURE_CHANNELS && widths.every((width) => width % block === 0);
  return fits ? blockedKernels(block) : plainKernels;
}

class Engine implements TrainingEngine {
  readonly #options: EngineOptions;
  readonly #kernels: KernelMaker;
  readonly #architecture: Architecture;
  readonly #parameters: Vector;
  readonly #statistics: Vector;
  /** For one size of pictures at a time: each holds the memory of a whole step, gigabytes where pictures are large. */
  #session: { readonly size: number; readonly made: InferenceSession } | undefined;
  /** What the next step reads, and what the one before has read: its memory takes the next results. */
  #vectors: Vectors;
  #spare: Vectors;
  #steps = 0;

  constructor(options: EngineOptions, kernels: KernelMaker) {
    this.#options = options;
    this.#kernels = kernels;
    this.#architecture = architectureOf(options.network);
    this.#parameters = new Vector(parametersOf(this.#architecture));
    this.#statistics = new Vector(statisticsOf(this.#architecture));
    this.#vectors = initialVectors(this.#parameters, this.#statistics, options.seed);
    this.#spare = initialVectors(this.#parameters, this.#statistics, options.seed);
  }

  get weightCount(): number {
    return this.#parameters.length;
  }

  async step(batch: Batch, learningRate: number): Promise<StepResult> {
    this.#check(batch);
    const session = await this.#sessionFor(batch.size);
    const feeds = { ...this.#feedsOf(batch, learningRate), ...this.#tensorsOf(this.#vectors, '') };
    const fetches = { loss: null, correct: null, ...this.#tensorsOf(this.#spare, 'new_') };
    const found = await session.run(feeds, fetches);
    [this.#vectors, this.#spare] = [this.#spare, this.#vectors];
    this.#steps += 1;
    return { loss: scalarOf(found['loss']), correct: scalarOf(found['correct']) };
  }

  state(): EngineState {
    return stateOf(this.#vectors, this.#parameters, this.#statistics, this.#steps);
  }

  restore(state: EngineState): void {
    this.#steps = readState(state, this.#vectors, this.#parameters, this.#statistics);
  }

  export(size: number, options: { readonly embedding?: boolean } = {}): Uint8Array {
    const state = this.state();
    const values = (name: string): Float32Array =>
      state.get(`averaged_weights/${name}`) ??
      state.get(`averaged_statistics/${name}`) ??
      missing(name);
    return inferenceGraph(this.#architecture, values, { ...options, size });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const session = this.#session?.made;
    this.#session = undefined;
    await session?.release();
  }

  #check({ pixels, labels, size }: Batch): void {
    const { batch, network } = this.#options;
    const step = sizeStep(network);
    if (size % step !== 0 || size < step)
      throw wrongBatch(
        `pictures are ${String(size)} pixels wide, network ${network.name} takes multiples of ${String(step)}`,
      );
    if (labels.length !== batch)
      throw wrongBatch(
        `the batch has ${String(labels.length)} labels, the engine takes ${String(batch)}`,
      );
    const numbers = batch * PICTURE_CHANNELS * size * size;
    if (pixels.length !== numbers)
      throw wrongBatch(
        `the batch has ${String(pixels.length)} numbers, ${String(batch)} pictures have ${String(numbers)}`,
      );
  }

  async #sessionFor(size: number): Promise<InferenceSession> {
    if (this.#session?.size === size) return this.#session.made;
    await this[Symbol.asyncDispose]();
    const graph = trainingGraph({
      ...this.#options,
      architecture: this.#architecture,
      parameters: this.#parameters,
      statistics: this.#statistics,
      kernels: this.#kernels,
      size,
    });
    const made = await InferenceSession.create(graph, sessionOptions(this.#options.threads));
    this.#session = { size, made };
    return made;
  }

  #feedsOf({ pixels, labels, size }: Batch, learningRate: number): Record<string, Tensor> {
    const { batch, averaging } = this.#options;
    // The first steps weigh more, so that the weights that were drawn are soon forgotten.
    const kept = Math.min(averaging, (1 + this.#steps) / (10 + this.#steps));
    return {
      pixels: new Tensor('float32', pixels, [batch, PICTURE_CHANNELS, size, size]),
      labels: new Tensor('int64', BigInt64Array.from(labels, BigInt), [batch]),
      learning_rate: new Tensor('float32', [learningRate], []),
      averaging_share: new Tensor('float32', [1 - kept], []),
    };
  }

  #tensorsOf(vectors: Vectors, prefix: string): Record<string, Tensor> {
    const lengths = { parameters: this.#parameters, statistics: this.#statistics };
    const named = (name: VectorName): [string, Tensor] => [
      prefix + name,
      new Tensor('float32', vectors[name], [lengthOf(name, lengths)]),
    ];
    return Object.fromEntries(VECTORS.map(named));
  }
}

function sessionOptions(threads: number): InferenceSession.SessionOptions {
  return {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    extra: {
      session: {
        // Numbers next to zero make processors slow and change nothing.
        set_denormal_as_zero: '1',
        // A thread that waits for another sleeps: on a machine that does other things too, spinning costs a quarter of the speed.
        intra_op: { allow_spinning: '0' },
      },
    },
  };
}

function scalarOf(tensor: Tensor | undefined): number {
  return Number(tensor?.data[0] ?? Number.NaN);
}

function wrongBatch(message: string): FractoryError {
  return new FractoryError(status.INVALID_ARGUMENT, 'WRONG_BATCH', message);
}

function missing(name: string): never {
  throw new Error(`the network has no ${name}`);
}
