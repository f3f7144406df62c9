import { status } from '@grpc/grpc-js';

import { FractoryError, invalidArgument } from '../../runtime/errors.js';
import { threadWorkers } from '../../runtime/worker-host.js';
import { WorkerPool } from '../../runtime/worker-pool.js';
import type { CnnLimits } from './limits.js';
import { isReady, ModelRepository } from './models.js';
import type { Model, ReadyModel } from './models.js';
import { decodePicture, readPictureHeader } from './picture.js';
import type { PictureHeader } from './picture.js';
import { Slots } from './slots.js';
import { mostProbable, softmax } from './tensor.js';
import type { LabelProbability } from './tensor.js';
import type { InferenceTask } from './worker.js';
import { disableTelemetry } from './telemetry.js';

const DEFAULT_TOP_K = 5;
const RETRY_AFTER_MS = 200;
/** Pictures that are decoded at a time: as many as sharp has threads. */
const DECODERS = 4;

export interface PredictOptions {
  /** Default: the node's default model. */
  readonly model?: string;
  /** 0 or absent = the newest. */
  readonly version?: number;
  /** How many labels; 0 or absent = 5. */
  readonly topK?: number;
  readonly signal?: AbortSignal;
}

/** What a model sees in a picture. */
export interface Prediction {
  /** The most probable first. */
  readonly labels: readonly LabelProbability[];
  readonly model: string;
  readonly version: number;
}

export interface CnnServiceOptions {
  /** Folders with models; see `ModelRepository`. */
  readonly roots: readonly string[];
  readonly defaultModel: string;
  readonly limits: CnnLimits;
}

/** Classifies pictures. Decoding runs in sharp's threads, inference in worker threads, so that the event loop stays free. Owns its workers. */
export class CnnService implements AsyncDisposable {
  readonly limits: CnnLimits;
  readonly #defaultModel: string;
  readonly #models: ModelRepository;
  readonly #pool: WorkerPool<InferenceTask, Float32Array>;
  readonly #decoders = new Slots(DECODERS);
  #underWay = 0;

  private constructor(options: CnnServiceOptions, models: ModelRepository) {
    this.limits = options.limits;
    this.#defaultModel = options.defaultModel;
    this.#models = models;
    this.#pool = new WorkerPool({
      name: 'cnn',
      start: threadWorkers(new URL('./worker.js', import.meta.url)),
      size: this.limits.workers,
      maxQueued: this.limits.max_queued,
      onAbort: 'finish',
    });
  }

  /** Reads the models and runs each once in every worker, so that the first picture doesn't wait and a broken model is known. */
  static async open(options: CnnServiceOptions): Promise<CnnService> {
    disableTelemetry();
    const service = new CnnService(options, await ModelRepository.open(options.roots));
    try {
      for (const model of service.#models.list()) if (isReady(model)) await service.#warmUp(model);
      return service;
    } catch (error) {
      await service[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** All models, those that can't be used among them. */
  models(): readonly Model[] {
    return this.#models.list();
  }

  /** Errors: MODEL_NOT_FOUND, MODEL_CORRUPT, UNSUPPORTED_IMAGE, BROKEN_IMAGE, IMAGE_TOO_LARGE, QUEUE_FULL. */
  async predict(image: Uint8Array, options: PredictOptions = {}): Promise<Prediction> {
    const topK = countOf('top_k', options.topK) || DEFAULT_TOP_K;
    const model = this.#models.find(
      options.model === undefined || options.model === '' ? this.#defaultModel : options.model,
      countOf('version', options.version),
    );
    const { card } = model;
    const outputs = await this.#admitted(async () => {
      const { data } = await this.#decoders.use(() => {
        options.signal?.throwIfAborted();
        return decodePicture(image, card.input, this.limits);
      });
      return this.#infer(model, data, options.signal);
    });
    const probabilities =
      card.output.activation === 'softmax' ? softmax(outputs) : Array.from(outputs);
    const labels = mostProbable(card.labels, probabilities, topK);
    return { labels, model: card.name, version: card.version };
  }

  /** What the header of a picture says, without inference. Errors: UNSUPPORTED_IMAGE, BROKEN_IMAGE, IMAGE_TOO_LARGE, QUEUE_FULL. */
  inspect(image: Uint8Array): Promise<PictureHeader> {
    return this.#admitted(() => readPictureHeader(image, this.limits));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool[Symbol.asyncDispose]();
  }

  #infer(
    { file, card }: ReadyModel,
    pixels: Uint8Array<ArrayBuffer>,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    return this.#pool.run(
      { file, card, pixels },
      {
        what: `inference by model ${card.name}`,
        timeoutMs: this.limits.max_compute_ms,
        limit: 'max_compute_ms',
        transfer: [pixels.buffer],
        ...(signal ? { signal } : {}),
      },
    );
  }

  async #warmUp(model: ReadyModel): Promise<void> {
    const { width, height, channels } = model.card.input;
    const runs = Array.from({ length: this.limits.workers }, () =>
      this.#infer(model, new Uint8Array(width * height * channels)),
    );
    const failed = (await Promise.allSettled(runs)).find((run) => run.status === 'rejected');
    if (!failed) return;
    const error: unknown = failed.reason;
    if (!(error instanceof FractoryError) || error.reason === 'NODE_STOPPING') throw error;
    this.#models.refuse(model, error.message);
  }

  async #admitted<T>(work: () => Promise<T>): Promise<T> {
    const { max_queued: limit } = this.limits;
    if (this.#underWay >= limit)
      throw new FractoryError(
        status.RESOURCE_EXHAUSTED,
        'QUEUE_FULL',
        `${String(this.#underWay)} pictures are under way, the limit max_queued is ${String(limit)}`,
        { retryAfterMs: RETRY_AFTER_MS, metadata: { limit: 'max_queued', allowed: String(limit) } },
      );
    this.#underWay++;
    try {
      return await work();
    } finally {
      this.#underWay--;
    }
  }
}

function countOf(field: string, value = 0): number {
  if (!Number.isSafeInteger(value) || value < 0)
    throw invalidArgument(
      field,
      `${String(value)} is not a whole number from 0 up`,
      'OUT_OF_RANGE',
    );
  return value;
}
