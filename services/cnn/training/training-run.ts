import { availableParallelism } from 'node:os';

import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import { readDataSet } from './data/data-set.js';
import type { DataSet } from './data/data-set.js';
import type { PictureSource } from './data/source.js';
import { networkSpec } from './engine/networks.js';
import type { NetworkName } from './engine/networks.js';
import { readCheckpoint, removeCheckpoint } from './loop/checkpoint.js';
import type { Checkpoint } from './loop/checkpoint.js';
import { accuracyOf } from './loop/evaluation.js';
import type { TrainingTask } from './loop/messages.js';
import { planTraining, servedSizeFor, usualEpochs } from './loop/schedule.js';
import { trainInThread } from './loop/training-thread.js';
import { publishModel, withdrawModel, writeCard } from './publication.js';
import type { PublishedModel } from './publication.js';
import { ReadingReport } from './reading-report.js';
import { measureServed } from './served-accuracy.js';
import { measuredCard, trainedCard } from './trained-card.js';
import type { TrainerOptions, TrainOptions } from './trainer.js';
import type { settingsFor, TrainingRequest } from './training-request.js';
import type { TrainingEvent } from './training-event.js';

const VALIDATION_SHARE = 0.1;
/** With fewer pictures to learn from, the smaller network does as well in a fifth of the time. */
const STANDARD_FROM = 500;
/** Pictures are kept larger than they are shown, so that a part cut out of them is still sharp. */
const KEPT_SCALE = 2;

export interface RunParts {
  readonly request: TrainingRequest;
  readonly file: string;
  readonly begun: Checkpoint | undefined;
  readonly source: PictureSource;
  readonly settings: ReturnType<typeof settingsFor>;
}

/** One training from its data to its model. */
export class TrainingRun {
  readonly #options: TrainerOptions;
  readonly #parts: RunParts;
  readonly #signal: AbortSignal;
  readonly #tell: (event: TrainingEvent) => void;
  #weights = 0;
  /** Empty until it is known how many pictures there are. */
  #network: string;

  constructor(options: TrainerOptions, parts: RunParts, { signal, tell }: TrainOptions) {
    this.#options = options;
    this.#parts = parts;
    this.#signal = signal;
    this.#tell = tell;
    this.#network = parts.settings.network;
  }

  async run(): Promise<void> {
    const { begun, settings, file } = this.#parts;
    const { size, sampleLimit, seed } = begun?.head.settings ?? settings;
    const data = await this.#read({ size, sampleLimit, seed: BigInt(seed) });
    this.#checkData(data);
    await this.#learn(data);
    await this.#publish(data);
    await removeCheckpoint(file);
  }

  async #read(chosen: { size: number; sampleLimit: number; seed: bigint }): Promise<DataSet> {
    const { size, sampleLimit, seed } = chosen;
    const { source, begun } = this.#parts;
    const report = new ReadingReport(this.#tell);
    return readDataSet(source, {
      ...{ sampleLimit, seed, validationShare: VALIDATION_SHARE },
      trainingSidePx: size * KEPT_SCALE,
      validationSidesPx: (pictures) => {
        this.#network ||= pictures < STANDARD_FROM ? 'small' : 'standard';
        const served = servedSizeFor(size, hasStrongViews(this.#network));
        return [begun?.head.plan.servedSidePx ?? served];
      },
      limits: this.#options.limits,
      signal: this.#signal,
      ...{ onFile: report.file, onSkipped: report.skipped },
    });
  }

  #checkData({ dataHash }: DataSet): void {
    const before = this.#parts.begun?.head.dataHash;
    if (before === undefined || before === dataHash) return;
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'DATA_DIFFERS',
      `the pictures are not those that the training of ${this.#parts.request.model} began with: hash ${dataHash}, not ${before}`,
    );
  }

  async #learn(data: DataSet): Promise<void> {
    const task = this.#taskFor(data);
    await trainInThread(task, {
      signal: this.#signal,
      tell: (news) => {
        if (news.kind === 'progress') this.#tell({ kind: 'progress', ...news.progress });
        else if (news.kind === 'epoch') this.#tell({ kind: 'epoch', ...news.record });
        else {
          this.#weights = news.weights;
          const { epochs, stepsPerEpoch, batch } = task.plan;
          this.#tell({
            ...{ kind: 'started', classes: data.counts, epochs, stepsPerEpoch, batch },
            ...{ weights: news.weights, network: task.head.network.name, done: news.done },
            ...{ skipped: data.skipped, duplicates: data.duplicates },
          });
        }
      },
    });
  }

  #taskFor(data: DataSet): Omit<TrainingTask, 'stop'> {
    const { begun, file, settings: asked } = this.#parts;
    const pictures = data.training.labels.length;
    const settings = begun?.head.settings ?? {
      ...{ ...asked, network: this.#network, epochs: asked.epochs || usualEpochs(pictures) },
    };
    const seed = BigInt(settings.seed);
    const { limits, engineModule } = this.#options;
    return {
      engineModule: (engineModule ?? new URL('./engine/training-engine.js', import.meta.url)).href,
      head: {
        ...{ settings, dataHash: data.dataHash },
        network:
          begun?.head.network ?? networkSpec(settings.network as NetworkName, data.labels.length),
      },
      plan: begun
        ? { ...begun.head.plan, seed }
        : planTraining(
            { ...settings, seed, strongViews: hasStrongViews(settings.network) },
            pictures,
          ),
      threads: limits.training_threads || availableParallelism(),
      ...{ training: data.training, validation: data.validation },
      ...{ checkpointFile: file, resume: begun !== undefined },
    };
  }

  async #publish(data: DataSet): Promise<void> {
    const { request, file } = this.#parts;
    const { modelsRoot, served } = this.#options;
    this.#signal.throwIfAborted();
    const checkpoint = await readCheckpoint(file);
    if (!checkpoint) throw new Error(`the checkpoint ${file} is gone`);
    const { model } = request;
    const facts = { model, checkpoint, data, weights: this.#weights };
    const { bestModel } = checkpoint;
    const card = trainedCard(facts);
    const made = await publishModel(modelsRoot, bestModel, card, served.versions(model));
    try {
      await this.#measure(made, data, bestModel.length);
    } catch (error) {
      // It goes on with resume, which publishes it again.
      await withdrawModel(made);
      await served.rescan();
      throw error;
    }
  }

  async #measure(made: PublishedModel, data: DataSet, sizeBytes: number): Promise<void> {
    const { served } = this.#options;
    const { name: model, version, sha256 } = made.card;
    await served.rescan();
    const confusion = await measureServed(served, this.#parts.source, data.validationFiles, {
      ...{ model, version, labels: data.labels, signal: this.#signal },
    });
    const measured = measuredCard(made.card, confusion);
    await writeCard(made.folder, measured);
    await served.rescan();
    this.#tell({
      ...{ kind: 'finished', model, version, confusion, sha256, sizeBytes },
      ...{ labels: data.labels, accuracy: accuracyOf(confusion) },
      seconds: measured.training?.seconds ?? 0,
    });
  }
}

/** The small network is for drawings of simple things, of which no part may be missing. */
function hasStrongViews(network: string): boolean {
  return network !== 'small';
}
