import { messageOf, FractoryError, unavailable } from '../../../runtime/errors.js';
import type { Clock } from '../../../runtime/clock.js';
import type { Logger } from '../../../runtime/logger.js';
import type { StartWorker } from '../../../runtime/worker-host.js';
import { fromFailure } from '../../../runtime/worker-tasks.js';
import type { PixelInput, RunRequest, RunResult } from '../serving.js';
import { BatchMemory } from './batch-memory.js';
import type { ExecutionCounts } from './counts.js';
import { Lane, NeverBegun } from './lane.js';
import type { RunReply } from './messages.js';
import { BatchKeys, PendingRequest, refusalError } from './pending-request.js';
import { PixelInputNumbers, ToldInputs } from './pixel-inputs.js';
import { BatchScheduler } from './scheduler.js';
import type { Batch, Decision } from './scheduler.js';
import type { ServedModel } from './served-model.js';

/** Batches that a worker has at most: see `BatchScheduler`. */
const MEMORIES = 2;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
/** Pause before a worker that died again and again is started, ms. */
const RESTART_MS = 100;
const LONGEST_RESTART_MS = 5000;

export interface DispatcherOptions {
  readonly workers: number;
  readonly start: StartWorker;
  readonly maxComputeMs: number;
  readonly clock: Clock;
  readonly counts: ExecutionCounts;
  readonly log: Logger;
  /** A worker that died may be given its models again. */
  readonly onRestart: (worker: number) => void;
  /** The outputs of this model can't be told apart by request. */
  readonly onInseparable: (model: ServedModel) => void;
}

interface WorkerState {
  readonly lane: Lane;
  /** In turn, one for each batch it may have. */
  readonly memories: readonly BatchMemory[];
  sent: number;
  readonly told: ToldInputs;
  /** Deaths since its last run. */
  deaths: number;
}

/** Carries out what the scheduler decides: sends batches to the worker threads, gives the answers to those who asked. Owns the threads. */
export class Dispatcher {
  readonly lanes: readonly Lane[];
  readonly #options: DispatcherOptions;
  readonly #workers: readonly WorkerState[];
  readonly #scheduler = new BatchScheduler<PendingRequest>();
  readonly #keys = new BatchKeys();
  readonly #inputs = new PixelInputNumbers();
  readonly #drains = new Map<string, (() => void)[]>();
  #ended = false;
  #wake: { readonly atMs: number; readonly cancel: () => void } | undefined;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    const { start, maxComputeMs } = options;
    this.#workers = Array.from({ length: options.workers }, (_, worker) => ({
      lane: new Lane({
        ...{ start, maxComputeMs },
        onExit: (begun) => {
          this.#onExit(worker, begun);
        },
      }),
      memories: Array.from({ length: MEMORIES }, () => new BatchMemory()),
      ...{ sent: 0, deaths: 0, told: new ToldInputs() },
    }));
    this.lanes = this.#workers.map(({ lane }) => lane);
  }

  get isIdle(): boolean {
    return this.#scheduler.isIdle;
  }

  /** Throws what a request with this deadline would be refused with if it came now. */
  check({ key, source }: ServedModel, deadlineMs: number): void {
    const { clock } = this.#options;
    const nowMs = this.#nowMs();
    const refusal = this.#scheduler.refusal(key, nowMs + deadlineMs - clock.now(), nowMs);
    if (!refusal) return;
    const counts = this.#options.counts.of(source.name, source.version);
    counts.arrived(clock.now());
    counts.failed();
    throw refusalError(source, refusal);
  }

  run(model: ServedModel, request: RunRequest): Promise<RunResult> {
    const { name, version } = model.source;
    const counts = this.#options.counts.of(name, version);
    counts.arrived(this.#options.clock.now());
    const nowMs = this.#options.clock.monotonicMs();
    const turn = {
      batchKey: model.arrangement.maxBatch > 1 ? this.#keys.of(request) : '',
      deadlineMs: nowMs + request.deadlineMs - this.#options.clock.now(),
      arrivedMs: nowMs,
    };
    return new Promise((resolve, reject) => {
      const item = new PendingRequest(model, request, turn, (result) => {
        if (result instanceof Error) {
          counts.failed();
          reject(result);
        } else {
          counts.succeeded(result);
          resolve(result);
        }
      });
      item.listen(() => {
        this.#scheduler.cancel(model.key, item);
        this.#checkDrained(model);
      });
      this.#apply(this.#scheduler.request(model.key, item, nowMs));
    });
  }

  /** A model that may be asked for, or another arrangement of it. */
  setModel({ key, arrangement }: ServedModel, maxQueued: number): void {
    const { maxBatch, maxDelayMs } = arrangement;
    this.#scheduler.setModel(key, { maxBatch, maxDelayMs, maxQueued });
  }

  /** What waits for it fails with this error. */
  removeModel({ key }: ServedModel, error: Error): void {
    for (const item of this.#scheduler.removeModel(key)) item.settle(error);
  }

  offer(worker: number, { key }: ServedModel): void {
    if (!this.#ended) this.#apply(this.#scheduler.offer(worker, key, this.#nowMs()));
  }

  withdraw(worker: number, { key }: ServedModel): void {
    this.#scheduler.withdraw(worker, key);
  }

  /** Resolves when nothing of a model is under way. */
  drained({ key }: ServedModel): Promise<void> {
    if (this.#ended || this.#scheduler.underWay(key) === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#drains.set(key, [...(this.#drains.get(key) ?? []), resolve]);
    });
  }

  /** Fails all that is under way with these models, and ends the threads. */
  async end(models: readonly string[]): Promise<void> {
    this.#ended = true;
    this.#wake?.cancel();
    for (const key of models)
      for (const item of this.#scheduler.removeModel(key)) item.settle(stopping());
    await Promise.all(this.lanes.map((lane) => lane.end(stopping())));
    for (const waiting of this.#drains.values()) for (const resolve of waiting) resolve();
    this.#drains.clear();
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  #apply(decisions: readonly Decision<PendingRequest>[]): void {
    for (const decision of decisions)
      if (decision.kind === 'start') this.#send(decision.batch);
      else {
        const { item, refusal } = decision;
        item.settle(refusalError(item.model.source, refusal));
      }
    this.#arm();
  }

  #send(batch: Batch<PendingRequest>): void {
    const worker = this.#workers[batch.worker];
    const model = batch.items[0]?.model;
    const [first] = batch.items;
    if (!worker || !model || !first) throw new Error('a batch without worker, model or request');
    const memory = worker.memories[worker.sent++ % MEMORIES];
    const used = new Map<number, PixelInput>();
    const numberOf = (input: PixelInput): number => {
      const number = this.#inputs.of(input);
      used.set(number, input);
      return number;
    };
    const requests =
      memory?.pack(
        batch.items.map(({ request }) => request),
        numberOf,
      ) ?? [];
    const newInputs = worker.told.news(worker.lane.generation, used);
    worker.lane
      .perform<'run'>({
        ...{ kind: 'run', model: model.sessionKey, outputs: first.request.outputs },
        ...{ requests, newInputs },
      })
      .then(
        (reply) => {
          this.#onReply(batch, model, worker, reply);
        },
        (error: unknown) => {
          this.#onFailure(batch, model, error);
        },
      );
  }

  #onReply(
    batch: Batch<PendingRequest>,
    model: ServedModel,
    worker: WorkerState,
    reply: RunReply,
  ): void {
    const nowMs = this.#nowMs();
    worker.deaths = 0;
    const size = batch.items.length;
    this.#options.counts.of(model.source.name, model.source.version).ran(size, reply.computeUs);
    // First the next batch is sent, then the answers of this one are given.
    this.#apply(this.#scheduler.done(batch.worker, reply.computeUs / 1000, nowMs));
    for (const [index, item] of batch.items.entries()) {
      const outcome = reply.outcomes[index];
      if (!outcome || 'failure' in outcome) {
        item.settle(
          outcome ? fromFailure(outcome.failure) : new Error('a run told too few outcomes'),
        );
        continue;
      }
      const { computeUs, outputUs } = reply;
      const totalUs = Math.round((nowMs - item.arrivedMs) * 1000);
      const queueUs = Math.max(0, totalUs - computeUs - outputUs);
      item.settle({
        outputs: outcome.outputs,
        times: { queueUs, computeUs, outputUs, batch: size },
      });
    }
    if (reply.inseparable) this.#options.onInseparable(model);
    this.#checkDrained(model);
  }

  #onFailure(batch: Batch<PendingRequest>, model: ServedModel, error: unknown): void {
    // It waits again, or the node stops.
    if (error instanceof NeverBegun && !this.#ended) return;
    const died = error instanceof FractoryError && error.reason !== 'NODE_STOPPING';
    if (!died && !this.#ended)
      this.#apply(this.#scheduler.done(batch.worker, undefined, this.#nowMs()));
    for (const item of batch.items) item.settle(this.#ended ? stopping() : asError(error));
    this.#checkDrained(model);
  }

  #onExit(worker: number, begun: boolean): void {
    if (this.#ended) return;
    this.#options.log.warn({ worker }, 'a worker thread of the models ended');
    this.#apply(this.#scheduler.lost(worker, begun, this.#nowMs()));
    const state = this.#workers[worker];
    if (!state) return;
    const pauseMs = state.deaths === 0 ? 0 : RESTART_MS * 2 ** state.deaths;
    state.deaths++;
    this.#options.clock.schedule(Math.min(pauseMs, LONGEST_RESTART_MS), () => {
      void this.#restart(worker, state.lane);
    });
  }

  async #restart(worker: number, lane: Lane): Promise<void> {
    await lane.ready();
    if (!this.#ended) this.#options.onRestart(worker);
  }

  #checkDrained({ key }: ServedModel): void {
    const waiting = this.#drains.get(key);
    if (!waiting || this.#scheduler.underWay(key) > 0) return;
    this.#drains.delete(key);
    for (const resolve of waiting) resolve();
  }

  /** Sees to it that the scheduler is asked again when time alone changes something. */
  #arm(): void {
    const atMs = this.#scheduler.wakeAtMs();
    if (atMs === Infinity || (this.#wake && this.#wake.atMs <= atMs)) return;
    this.#wake?.cancel();
    const delayMs = Math.min(LONGEST_TIMER_MS, Math.max(0, atMs - this.#nowMs()));
    const cancel = this.#options.clock.schedule(delayMs, () => {
      this.#wake = undefined;
      if (!this.#ended) this.#apply(this.#scheduler.tick(this.#nowMs()));
    });
    this.#wake = { atMs, cancel };
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error));
}

export function stopping(): FractoryError {
  return unavailable('NODE_STOPPING', 'the node is stopping');
}
