import path from 'node:path';
import type { Registry } from 'prom-client';

import { systemClock } from '../../runtime/clock.js';
import type { Clock } from '../../runtime/clock.js';
import { FractoryError, messageOf } from '../../runtime/errors.js';
import { silentLogger } from '../../runtime/logger.js';
import type { Logger } from '../../runtime/logger.js';
import { Admission } from './admission.js';
import type { Place } from './admission.js';
import { countOf } from './calls.js';
import type {
  Answer,
  CallOptions,
  Embedding,
  Inference,
  PredictOptions,
  Prediction,
} from './calls.js';
import type { Card } from './card.js';
import { createExecutor } from './execution/executor.js';
import type { CnnLimits } from './limits.js';
import { descriptionOf, statusOf } from './model-status.js';
import type { ModelDescription, ModelStatus } from './model-status.js';
import { labelsOf, noCard, noEmbedding, vectorOf } from './picture-answers.js';
import { PictureDesk } from './picture-desk.js';
import { bytesOf, fetched } from './picture.js';
import type { Picture } from './picture.js';
import type { PictureHeader } from './pictures/picture.js';
import { modelCorrupt } from './repository/choice.js';
import { ModelRepository } from './repository/repository.js';
import type { Lease } from './repository/repository.js';
import type { ServedVersion } from './repository/served-version.js';
import type { ModelCounts, ModelExecutor } from './serving.js';
import { checkRequest } from './tensor-request.js';
import type { TensorRequest } from './tensor-request.js';
import type { NamedTensor } from './tensors/tensor.js';

const DEFAULT_TOP_K = 5;

export interface CnnServiceOptions {
  /** Folders with models, `NAME/VERSION/{model.onnx,model.json}`; the first wins. */
  readonly roots: readonly string[];
  /** The one that pins and new models are written to. */
  readonly writableRoot: string;
  /** Loaded at the start. */
  readonly defaultModel: string;
  readonly limits: CnnLimits;
  /** Default: the system's. */
  readonly clock?: Clock;
  /** Default: silent. */
  readonly log?: Logger;
  /** For metrics; default: none. */
  readonly registry?: Registry;
  /** What runs the models; owned from then on. Default: worker threads. */
  readonly executor?: ModelExecutor;
}

/**
 * Runs models: pictures to labels or vectors, tensors to tensors. Pictures are decoded in sharp's threads and models run in threads of their own, so
 * that the event loop stays free. Owns all of them.
 */
export class CnnService implements AsyncDisposable {
  readonly limits: CnnLimits;
  readonly #defaultModel: string;
  readonly #repository: ModelRepository;
  readonly #executor: ModelExecutor;
  readonly #admission: Admission;
  readonly #desk: PictureDesk;
  readonly #clock: Clock;

  private constructor(options: CnnServiceOptions, parts: Parts) {
    this.limits = options.limits;
    this.#defaultModel = options.defaultModel;
    this.#repository = parts.repository;
    this.#executor = parts.executor;
    const { clock } = parts;
    this.#clock = clock;
    this.#admission = new Admission(this.limits, clock);
    this.#desk = new PictureDesk(this.limits, clock);
  }

  /** Verifies all models and loads the default one, so that the first picture doesn't wait. A model that can't be used is told, and stops nothing. */
  static async open(options: CnnServiceOptions): Promise<CnnService> {
    const { clock = systemClock, log = silentLogger() } = options;
    const executor = options.executor ?? threads(options, log);
    try {
      const repository = await ModelRepository.open({ ...options, clock, log, executor });
      const service = new CnnService(options, { clock, repository, executor });
      await service.#warmUp(log);
      return service;
    } catch (error) {
      await executor[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * Errors of all calls on models: MODEL_NOT_FOUND, MODEL_CORRUPT, MODEL_UNLOADED, MODELS_TOO_LARGE, MODEL_FAILED, QUEUE_FULL, CANT_MAKE_DEADLINE, DEADLINE_EXCEEDED. Of pictures:
   * NO_CARD, UNSUPPORTED_IMAGE, BROKEN_IMAGE, IMAGE_TOO_LARGE.
   */
  async predict(picture: Picture, options: PredictOptions = {}): Promise<Prediction> {
    const topK = countOf('top_k', options.topK) || DEFAULT_TOP_K;
    return this.#onPicture(
      picture,
      options,
      (card) => card.output.name,
      (tensor, card) => {
        const labels = labelsOf(tensor, card, topK);
        return 'problem' in labels ? labels : { labels };
      },
    );
  }

  /** What the layer before the last makes of a picture. Errors: also NO_EMBEDDING. */
  async embed(picture: Picture, options: CallOptions = {}): Promise<Embedding> {
    return this.#onPicture(
      picture,
      options,
      (_card, { facts, one }) =>
        facts.embedding ?? noEmbedding(one, 'it has no layer before the last'),
      // Whatever comes out says nothing against the labels of the model: it goes on serving.
      (tensor, card) => {
        const values = vectorOf(tensor);
        return 'problem' in values ? noEmbedding(card, values.problem) : { values };
      },
    );
  }

  /** Any tensors through any model. Errors: also BAD_TENSOR, LIMIT_EXCEEDED. */
  async infer(request: CallOptions & TensorRequest): Promise<Inference> {
    const bytes = request.inputs.reduce((sum, { data }) => sum + data.length, 0);
    return this.#admitted(request, bytes, async (lease) => {
      const { signature, found } = lease.facts;
      if (!signature) throw modelCorrupt(found, 'it was never read');
      const outputs = checkRequest(request, signature, this.limits.max_tensor_bytes);
      const { inputs, signal } = request;
      const deadlineMs = this.#deadlineOf(request);
      const result = await lease.loaded.run({
        ...{ kind: 'tensors', inputs, outputs, deadlineMs },
        ...(signal ? { signal } : {}),
      });
      const times = { ...result.times, decodeUs: 0 };
      return { outputs: result.outputs, model: found.name, version: found.version, times };
    });
  }

  /** What the header of a picture says, without inference. Errors: UNSUPPORTED_IMAGE, BROKEN_IMAGE, IMAGE_TOO_LARGE, QUEUE_FULL. */
  inspect(image: Uint8Array): Promise<PictureHeader> {
    return this.#admission.run(image.length, () => this.#desk.inspect(image));
  }

  /** By name, newest version first; those that can't be used too. */
  models(): readonly ModelStatus[] {
    return this.#repository.list().map((one) => this.#statusOf(one));
  }

  /** From the model's file; nothing is loaded. Errors: MODEL_NOT_FOUND, MODEL_CORRUPT. */
  // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is a rejection
  async describe(model: string, version = 0): Promise<ModelDescription> {
    const one = this.#repository.look(this.#nameOf(model), countOf('version', version));
    return descriptionOf(one, this.#repository);
  }

  /** A call would be answered. */
  isReady(model: string, version = 0): boolean {
    try {
      return this.#repository.find(this.#nameOf(model), countOf('version', version)).isUsable;
    } catch (error) {
      if (error instanceof FractoryError) return false;
      throw error;
    }
  }

  /** Looks at the folders and loads a version, also one that was unloaded by hand. */
  async load(model: string, version = 0): Promise<ModelStatus> {
    const one = await this.#repository.load(this.#nameOf(model), countOf('version', version));
    return this.#statusOf(one);
  }

  /** Ends what is under way with a version, frees its memory and refuses it until it is loaded by hand; 0 = all versions. */
  async unload(model: string, version = 0): Promise<void> {
    await this.#repository.unload(this.#nameOf(model), countOf('version', version));
  }

  /** Chooses the version for calls that name none, for this and later lives of all nodes that share the folder; 0 = the newest again. */
  async pin(model: string, version: number): Promise<void> {
    await this.#repository.pin(this.#nameOf(model), countOf('version', version));
  }

  /** Looks at the folders now; when it returns, a new version of a model in use serves. */
  rescan(): Promise<void> {
    return this.#repository.rescan();
  }

  /** Since the node started, over all loads of it. */
  counts(model: string, version: number): ModelCounts {
    return this.#executor.counts(model, version);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // What is under way ends first, each within its deadline; what comes now is refused with NODE_STOPPING.
    await this.#repository[Symbol.asyncDispose]();
    await this.#executor[Symbol.asyncDispose]();
  }

  async #warmUp(log: Logger): Promise<void> {
    const model = this.#defaultModel;
    if (!this.isReady(model)) return;
    try {
      const lease = await this.#repository.acquire(model, 0, { timeoutMs: LOADING_MS });
      lease[Symbol.dispose]();
    } catch (error) {
      log.warn({ model, error: messageOf(error) }, 'the default model can not be loaded');
    }
  }

  /** A picture through one output of a model that has a card. */
  #onPicture<T extends object>(
    picture: Picture,
    options: CallOptions,
    outputOf: (card: Card, lease: Lease) => string,
    answerOf: (tensor: NamedTensor | undefined, card: Card) => T | { readonly problem: string },
  ): Promise<T & Answer> {
    return this.#admitted(options, bytesOf(picture), async (lease, place) => {
      const { name: model, version } = lease.one;
      const card = lease.facts.card ?? noCard(lease.one);
      const output = outputOf(card, lease);
      const { signal } = options;
      // Before the picture costs anything.
      lease.loaded.check(this.#deadlineOf(options));
      const here = await fetched(picture, place);
      const { data, queueUs, decodeUs } = await this.#desk.prepare(here, card.input, signal);
      this.#executor.decoded(model, version, decodeUs);
      const deadlineMs = this.#deadlineOf(options);
      const result = await lease.loaded.run({
        ...{ kind: 'pixels', pixels: data, input: card.input, outputs: [output], deadlineMs },
        ...(signal ? { signal } : {}),
      });
      const startedMs = this.#clock.monotonicMs();
      const answer = answerOf(result.outputs[0], card);
      if ('problem' in answer) throw this.#repository.refuse(lease.one, answer.problem);
      const times = {
        ...{ ...result.times, decodeUs },
        queueUs: queueUs + result.times.queueUs,
        outputUs:
          result.times.outputUs + Math.round((this.#clock.monotonicMs() - startedMs) * 1000),
      };
      return { ...answer, model, version, times };
    });
  }

  async #admitted<T>(
    options: CallOptions,
    bytes: number,
    work: (lease: Lease, place: Place) => Promise<T>,
  ): Promise<T> {
    const { model = '', signal } = options;
    const version = countOf('version', options.version);
    const leftMs = (options.deadlineMs ?? Infinity) - this.#clock.now();
    return this.#admission.run(bytes, async (place) => {
      signal?.throwIfAborted();
      using lease = await this.#repository.acquire(this.#nameOf(model), version, {
        timeoutMs: Math.min(LOADING_MS, Math.max(1, leftMs)),
        ...(signal ? { signal } : {}),
      });
      return await work(lease, place);
    });
  }

  /** Of a run that begins now: neither loading the model nor decoding the picture counts as computing. */
  #deadlineOf({ deadlineMs = Infinity }: CallOptions): number {
    return Math.min(deadlineMs, this.#clock.now() + this.limits.max_compute_ms);
  }

  #nameOf(model: string): string {
    return model === '' ? this.#defaultModel : model;
  }

  #statusOf(one: ServedVersion): ModelStatus {
    return statusOf(one, this.#repository, this.#executor);
  }
}

interface Parts {
  readonly clock: Clock;
  readonly repository: ModelRepository;
  readonly executor: ModelExecutor;
}

function threads(options: CnnServiceOptions, log: Logger): ModelExecutor {
  const { limits, registry, writableRoot } = options;
  const tuningFile = path.join(writableRoot, '.tuning.json');
  return createExecutor({ limits, log, tuningFile, ...(registry ? { registry } : {}) });
}

/** A model of 1 GB is read, verified and run once in this time, even on a slow disk. */
const LOADING_MS = 120_000;
