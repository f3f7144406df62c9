import { status } from '@grpc/grpc-js';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import type { Registry } from 'prom-client';

import { systemClock } from '../../../runtime/clock.js';
import type { Clock } from '../../../runtime/clock.js';
import { FractoryError, messageOf, unavailable } from '../../../runtime/errors.js';
import { threadWorkers } from '../../../runtime/worker-host.js';
import type { StartWorker } from '../../../runtime/worker-host.js';
import type { Logger } from '../../../runtime/logger.js';
import type { CnnLimits } from '../limits.js';
import type {
  Arrangement,
  LoadedModel,
  ModelCounts,
  ModelExecutor,
  ModelSource,
  RunRequest,
  RunResult,
} from '../serving.js';
import { disableTelemetry } from '../telemetry.js';
import { firstArrangement, fixedParts, isBatchable } from './arrangement.js';
import type { FixedParts } from './arrangement.js';
import { candidatesOf } from './choice.js';
import { ExecutionCounts } from './counts.js';
import { Dispatcher, stopping } from './dispatcher.js';
import { exampleOf } from './example.js';
import type { Lane } from './lane.js';
import { abortReason } from './pending-request.js';
import { ServedModel } from './served-model.js';
import type { Host } from './served-model.js';
import { Tuner } from './tuner.js';
import type { TunerHost, TunerOptions } from './tuner.js';
import { TuningFile } from './tuning-file.js';
import type { TuningKey } from './tuning-file.js';

/** The limits that concern running models. */
export type ExecutionLimits = Pick<
  CnnLimits,
  | 'workers'
  | 'threads'
  | 'max_batch'
  | 'max_delay_ms'
  | 'tune'
  | 'max_compute_ms'
  | 'max_queued'
  | 'max_output_bytes'
>;

export interface ExecutorOptions {
  readonly limits: ExecutionLimits;
  readonly log: Logger;
  /** Where metrics go. */
  readonly registry?: Registry;
  /** Remembers the arrangements that were measured; undefined = they are measured anew each time. */
  readonly tuningFile?: string;
  readonly clock?: Clock;
  readonly tuning?: TunerOptions;
  /** For tests: how a worker starts. */
  readonly start?: StartWorker;
}

/** Runs models in worker threads of this process; threads start when a model is loaded. */
export function createExecutor(options: ExecutorOptions): ModelExecutor {
  disableTelemetry();
  return new ThreadedExecutor(options);
}

class ThreadedExecutor implements ModelExecutor, Host, TunerHost {
  readonly lanes: readonly Lane[];
  readonly #options: ExecutorOptions;
  readonly #clock: Clock;
  readonly #dispatcher: Dispatcher;
  readonly #models = new Map<string, ServedModel>();
  readonly #counts: ExecutionCounts;
  readonly #tuner: Tuner;
  readonly #tuningFile: TuningFile | undefined;
  #loads = 0;
  #disposed = false;

  constructor(options: ExecutorOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#counts = new ExecutionCounts(options.registry);
    this.#tuner = new Tuner(this, options.tuning);
    const { tuningFile } = options;
    if (tuningFile !== undefined) this.#tuningFile = new TuningFile(tuningFile, options.log);
    const { workers, max_compute_ms: maxComputeMs } = options.limits;
    this.#dispatcher = new Dispatcher({
      ...{ clock: this.#clock, counts: this.#counts, log: options.log, maxComputeMs },
      workers: workers > 0 ? workers : availableParallelism(),
      start: options.start ?? threadWorkers(new URL('./worker.js', import.meta.url)),
      onRestart: (worker) => {
        for (const model of this.#models.values())
          if (model.state === 'serving' && model.workers.has(worker)) void model.join(worker);
      },
      onInseparable: (model) => {
        this.#runSingly(model);
      },
    });
    this.lanes = this.#dispatcher.lanes;
  }

  async load(source: ModelSource): Promise<LoadedModel> {
    if (this.#disposed) throw stopping();
    const { limits } = this.#options;
    const key = `${source.name}/${String(source.version)}#${String(++this.#loads)}`;
    const remembered = await this.#remembered(source);
    const arrangement = remembered ?? firstArrangement(source, limits, this.lanes.length);
    const model = new ServedModel(key, source, arrangement, this);
    this.#models.set(key, model);
    this.rearranged(model);
    try {
      await model.start();
      // What was checked while it was loaded may have changed how it runs.
      this.rearranged(model);
      if (limits.tune === 'auto' && !remembered && this.#hasChoice(model)) this.#tuner.add(model);
      return model;
    } catch (error) {
      await model.unload();
      throw this.#isDisposed() ? stopping() : error;
    }
  }

  counts(name: string, version: number): ModelCounts {
    return this.#counts.of(name, version).snapshot();
  }

  decoded(name: string, version: number, us: number): void {
    this.#counts.of(name, version).decodeUs += us;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    const measured = this.#tuner.end();
    await this.#dispatcher.end([...this.#models.keys()]);
    await measured;
  }

  check(model: ServedModel, deadlineMs: number): void {
    // All else `run` tells.
    if (!this.#disposed && model.state === 'serving') this.#dispatcher.check(model, deadlineMs);
  }

  run(model: ServedModel, request: RunRequest): Promise<RunResult> {
    if (this.#disposed) return Promise.reject(stopping());
    if (model.state !== 'serving') return Promise.reject(unloaded(model));
    if (request.signal?.aborted) return Promise.reject(abortReason(request.signal));
    if (model.workers.size === 0) return Promise.reject(noWorker(model));
    this.#tuner.busy();
    return this.#dispatcher.run(model, request);
  }

  leastUsed(): number[] {
    const models = [...this.#models.values()];
    const used = (worker: number): number =>
      models.filter((model) => model.workers.has(worker)).length;
    return this.lanes.map((_, worker) => worker).sort((a, b) => used(a) - used(b) || a - b);
  }

  offer(worker: number, model: ServedModel): void {
    this.#dispatcher.offer(worker, model);
  }

  withdraw(worker: number, model: ServedModel): void {
    this.#dispatcher.withdraw(worker, model);
  }

  rearranged(model: ServedModel): void {
    this.#dispatcher.setModel(model, this.#options.limits.max_queued);
  }

  drained(model: ServedModel): Promise<void> {
    return this.#dispatcher.drained(model);
  }

  forget(model: ServedModel): void {
    this.#models.delete(model.key);
    this.#dispatcher.removeModel(model, stopping());
  }

  degraded(model: ServedModel, worker: number, error: unknown): void {
    if (this.#disposed || model.state === 'unloading') return;
    const { name, version } = model.source;
    this.#options.log.warn(
      { model: name, version, worker, problem: messageOf(error) },
      'a worker could not load a model',
    );
    if (model.workers.size > 0) return;
    this.#dispatcher.removeModel(model, noWorker(model));
    this.rearranged(model);
  }

  get maxOutputBytes(): number {
    return this.#options.limits.max_output_bytes;
  }

  get isIdle(): boolean {
    return this.#dispatcher.isIdle;
  }

  get clock(): Clock {
    return this.#clock;
  }

  get log(): Logger {
    return this.#options.log;
  }

  fixedOf({ source }: ServedModel): FixedParts {
    return fixedParts(source, this.#options.limits);
  }

  async tuned(model: ServedModel, arrangement: Arrangement): Promise<void> {
    const { name: modelName, version } = model.source;
    try {
      await model.rearrange(arrangement);
      this.log.info({ model: modelName, version, ...arrangement }, 'model measured');
      await this.#tuningFile?.remember(this.#tuningKey(model.source), arrangement);
    } catch (error) {
      this.log.warn(
        { model: modelName, version, problem: messageOf(error) },
        'the measured arrangement could not be taken',
      );
    }
  }

  #remembered(source: ModelSource): Promise<Arrangement | undefined> {
    if (this.#options.limits.tune === 'off') return Promise.resolve(undefined);
    return this.#tuningFile?.find(this.#tuningKey(source)) ?? Promise.resolve(undefined);
  }

  #tuningKey(source: ModelSource): TuningKey {
    return {
      sha256: source.sha256,
      cores: this.lanes.length,
      fixed: JSON.stringify(fixedParts(source, this.#options.limits)),
      runtime: runtimeVersion(),
    };
  }

  /** There is something to measure it with, and more than one way to run it. */
  #hasChoice(model: ServedModel): boolean {
    const fixed = this.fixedOf(model);
    const candidates = candidatesOf(this.lanes.length, fixed).length;
    const batches = isBatchable(model.source.signature) && fixed.maxBatch === undefined;
    return exampleOf(model.source).tensors.length > 0 && (candidates > 1 || batches);
  }

  /** It may have been while something was awaited. */
  #isDisposed(): boolean {
    return this.#disposed;
  }

  /** A model whose outputs can't be told apart by request. */
  #runSingly(model: ServedModel): void {
    const { arrangement } = model;
    if (arrangement.maxBatch === 1) return;
    const reason = `${arrangement.reason}; its outputs don't have a row for each request, so they run one by one`;
    model.arrangement = { ...arrangement, maxBatch: 1, reason };
    this.rearranged(model);
  }
}

/** Of ONNX Runtime, whose library is loaded in the workers only. */
function runtimeVersion(): string {
  const require = createRequire(import.meta.url);
  return (require('onnxruntime-node/package.json') as { readonly version: string }).version;
}

function unloaded({ source: { name, version } }: ServedModel): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'MODEL_UNLOADED',
    `model ${name} version ${String(version)} is not loaded any more`,
  );
}

function noWorker({ source: { name } }: ServedModel): FractoryError {
  return unavailable('WORKER_DIED', `no worker thread has model ${name} any more`);
}
