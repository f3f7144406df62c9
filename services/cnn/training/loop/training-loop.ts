import type { BatchFeed, BatchPlan } from '../augment/batch-feed.js';
import type { TrainingEngine } from '../engine/engine.js';
import { writeCheckpoint } from './checkpoint.js';
import type { Checkpoint, CheckpointHead } from './checkpoint.js';
import { isBetter } from './epoch-record.js';
import type { EpochRecord } from './epoch-record.js';
import { evaluate } from './evaluation.js';
import type { Evaluation } from './evaluation.js';
import type { TrainingMessage, TrainingTask } from './messages.js';
import { Pace } from './pace.js';
import { learningRateAt, orderAt, showingAt } from './schedule.js';

const PROGRESS_MS = 250;

export interface LoopParts {
  readonly task: TrainingTask;
  readonly engine: TrainingEngine;
  readonly feed: BatchFeed;
  /** Where to go on. */
  readonly from: Checkpoint | undefined;
  readonly tell: (message: TrainingMessage) => void;
}

/**
 * Trains epoch after epoch and keeps a checkpoint after each: all that an epoch does depends on the plan, the data and the state at its start, so that an
 * interrupted training goes on as if nothing had happened.
 */
export class TrainingLoop {
  readonly #task: TrainingTask;
  readonly #engine: TrainingEngine;
  readonly #feed: BatchFeed;
  readonly #tell: (message: TrainingMessage) => void;
  readonly #stop: Int32Array;
  readonly #pace: Pace;
  #done: readonly EpochRecord[];
  #best: CheckpointHead['best'];
  #bestModel: Uint8Array;
  #toldMs = 0;

  constructor({ task, engine, feed, from, tell }: LoopParts) {
    this.#task = task;
    this.#engine = engine;
    this.#feed = feed;
    this.#tell = tell;
    this.#stop = new Int32Array(task.stop);
    this.#pace = new Pace(task.plan);
    this.#done = from?.head.done ?? [];
    this.#best = from?.head.best;
    this.#bestModel = from?.bestModel ?? new Uint8Array();
    if (from) engine.restore(from.state);
  }

  /** True when all epochs are done, false when it was stopped. */
  async run(): Promise<boolean> {
    const { plan } = this.#task;
    this.#tell({ kind: 'ready', weights: this.#engine.weightCount, done: this.#done });
    // Whether there is room for a checkpoint is better known before hours of work.
    if (this.#done.length === 0) await this.#keep();
    for (let epoch = this.#done.length; epoch < plan.epochs; epoch++)
      if (!(await this.#epoch(epoch))) return false;
    return true;
  }

  async #epoch(epoch: number): Promise<boolean> {
    const startedMs = performance.now();
    if (!(await this.#learn(epoch))) return false;
    const learnedMs = performance.now();
    const evaluations = await this.#evaluate();
    const evaluation = evaluations?.[0]?.evaluation;
    if (!evaluations || !evaluation) return false;
    const { loss, accuracy } = this.#pace.endEpoch((performance.now() - learnedMs) / 1000);
    const figures = { validationLoss: evaluation.loss, validationAccuracy: evaluation.accuracy };
    const best = isBetter(figures, this.#bestRecord());
    const seconds = (performance.now() - startedMs) / 1000;
    const record: EpochRecord = {
      ...{ epoch: epoch + 1, trainingLoss: loss, trainingAccuracy: accuracy },
      ...{ ...figures, seconds, best },
    };
    this.#done = [...this.#done, record];
    if (best) {
      this.#best = { epoch: epoch + 1, evaluation };
      this.#bestModel = evaluations[0]?.model ?? this.#bestModel;
    }
    await this.#keep();
    const accuracies = evaluations.map(({ sidePx, evaluation: { accuracy } }) => ({
      ...{ sidePx, accuracy },
    }));
    this.#tell({ kind: 'epoch', record, accuracies });
    return true;
  }

  async #learn(epoch: number): Promise<boolean> {
    const { plan } = this.#task;
    let step = 0;
    let stepMs = performance.now();
    for await (const batch of this.#feed.batches(this.#batchesOf(epoch))) {
      if (this.#isStopped()) return false;
      const rate = learningRateAt(plan, epoch * plan.stepsPerEpoch + step);
      const result = await this.#engine.step(batch, rate);
      step++;
      const nowMs = performance.now();
      this.#pace.add(result, batch.size, (nowMs - stepMs) / 1000);
      stepMs = nowMs;
      this.#tellProgress(epoch, step);
    }
    return !this.#isStopped();
  }

  *#batchesOf(epoch: number): Generator<BatchPlan, void> {
    const { plan, training } = this.#task;
    const order = orderAt(plan, epoch, training.labels.length);
    for (let step = 0; step < plan.stepsPerEpoch; step++) {
      const pictures = order.slice(step * plan.batch, (step + 1) * plan.batch);
      yield { ...showingAt(plan, epoch), epoch, pictures };
    }
  }

  #tellProgress(epoch: number, step: number): void {
    const nowMs = performance.now();
    const isLast = step === this.#task.plan.stepsPerEpoch;
    if (!isLast && nowMs - this.#toldMs < PROGRESS_MS) return;
    this.#toldMs = nowMs;
    this.#tell({ kind: 'progress', progress: this.#pace.progress(epoch, step) });
  }

  async #evaluate(): Promise<
    { sidePx: number; model: Uint8Array; evaluation: Evaluation }[] | undefined
  > {
    const { validation, threads, head } = this.#task;
    const { classes } = head.network;
    const found: { sidePx: number; model: Uint8Array; evaluation: Evaluation }[] = [];
    for (const set of validation) {
      const { sidePx } = set.pixels;
      const model = this.#engine.export(sidePx);
      const options = { classes, threads, isStopped: () => this.#isStopped() };
      const evaluation = await evaluate(model, set, options);
      if (!evaluation) return undefined;
      found.push({ sidePx, model, evaluation });
    }
    return found;
  }

  async #keep(): Promise<void> {
    const { head, plan, checkpointFile } = this.#task;
    await writeCheckpoint(checkpointFile, {
      head: {
        ...head,
        plan: { ...plan, seed: undefined },
        done: this.#done,
        ...(this.#best && { best: this.#best }),
      },
      state: this.#engine.state(),
      bestModel: this.#bestModel,
    });
  }

  #bestRecord(): EpochRecord | undefined {
    return this.#done.find(({ epoch }) => epoch === this.#best?.epoch);
  }

  #isStopped(): boolean {
    return Atomics.load(this.#stop, 0) !== 0;
  }
}
