import { status } from '@grpc/grpc-js';
import path from 'node:path';

import { AbortScope } from '../../../runtime/abort-scope.js';
import { FractoryError, unavailable } from '../../../runtime/errors.js';
import { claimTraining, trainingRunning } from './claim.js';
import type { PictureSource } from './data/source.js';
import { tarSource } from './data/tar-source.js';
import { dataSetsInUse, forgetData, noteData } from './data-use.js';
import type { TrainingLimits } from './limits.js';
import { readCheckpoint } from './loop/checkpoint.js';
import type { Checkpoint } from './loop/checkpoint.js';
import type { ServedModels } from './served-accuracy.js';
import type { TrainingEvent } from './training-event.js';
import { checkRequest, checkSame, dataOf, settingsFor } from './training-request.js';
import type { TrainingData, TrainingRequest } from './training-request.js';
import { TrainingRun } from './training-run.js';
import { DataSets } from './uploads.js';
import type { UploadedDataSet } from './uploads.js';

export interface TrainerOptions {
  /** Where finished models go: NAME/VERSION. */
  readonly modelsRoot: string;
  /** For uploaded data and checkpoints. */
  readonly trainingRoot: string;
  readonly limits: TrainingLimits;
  readonly served: ServedModels;
  /** Files of a client in storage. */
  readonly storedPictures: (client: string, prefix: string) => PictureSource;
  /** Default: the engine of the house. */
  readonly engineModule?: URL;
}

export interface TrainOptions {
  readonly signal: AbortSignal;
  readonly tell: (event: TrainingEvent) => void;
}

const CHECKPOINT = 'checkpoint.bin';

/** Trains classifiers, one at a time, each in a thread of its own, and publishes them. Owns what runs; disposing stops it with its checkpoint kept. */
export class Trainer implements AsyncDisposable {
  readonly #options: TrainerOptions;
  readonly #dataSets: DataSets;
  /** A folder for each training. */
  readonly #runs: string;
  readonly #stopping = new AbortController();
  #running: { readonly model: string; readonly ended: Promise<unknown> } | undefined;

  constructor(options: TrainerOptions) {
    this.#options = options;
    const { trainingRoot, limits } = options;
    this.#runs = path.join(trainingRoot, 'runs');
    this.#dataSets = new DataSets({
      ...{ folder: path.join(trainingRoot, 'data'), limits },
      inUse: () => dataSetsInUse(this.#runs),
    });
  }

  /** Keeps a tar of pictures to train with. */
  upload(chunks: AsyncIterable<Uint8Array>): Promise<UploadedDataSet> {
    return this.#dataSets.add(chunks);
  }

  /**
   * Trains and publishes; `tell` hears how it goes. When `signal` aborts, it stops behind the current step and keeps the checkpoint of the last whole epoch.
   * Errors: TRAINING_RUNNING, DATA_SET_NOT_FOUND, NO_CHECKPOINT, CHECKPOINT_DIFFERS, CHECKPOINT_CORRUPT, DATA_DIFFERS, DISK_FULL, FOLDER_UNWRITABLE and those of `readDataSet`.
   */
  async train(request: TrainingRequest, { signal, tell }: TrainOptions): Promise<void> {
    checkRequest(request);
    if (this.#stopping.signal.aborted) throw unavailable('NODE_STOPPING', 'the node is stopping');
    if (this.#running) throw trainingRunning(this.#running.model, process.pid);
    const scope = new AbortScope(signal, this.#stopping.signal);
    const ended = this.#claimed(request, { signal: scope.signal, tell });
    // The caller hears of a failure; whoever waits for the end only waits.
    this.#running = { model: request.model, ended: ended.catch(() => undefined) };
    try {
      await ended;
    } finally {
      this.#running = undefined;
      scope.end();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(unavailable('NODE_STOPPING', 'the node is stopping'));
    await this.#running?.ended;
  }

  async #claimed(request: TrainingRequest, options: TrainOptions): Promise<void> {
    const folder = path.join(this.#runs, request.model);
    const claim = await claimTraining(folder, request.model);
    try {
      await this.#run(request, folder, options);
    } finally {
      await forgetData(folder);
      await claim[Symbol.asyncDispose]();
    }
  }

  async #run(request: TrainingRequest, folder: string, options: TrainOptions): Promise<void> {
    const file = path.join(folder, CHECKPOINT);
    const begun = request.resume ? await this.#begun(request, file) : undefined;
    const place = dataOf(request, begun?.head.settings);
    await noteData(folder, place);
    const source = await this.#sourceOf(place);
    const run = {
      request,
      file,
      begun,
      source,
      settings: { ...settingsFor(request), data: { ...place } },
    };
    await new TrainingRun(this.#options, run, options).run();
  }

  async #begun(request: TrainingRequest, file: string): Promise<Checkpoint> {
    const checkpoint = await readCheckpoint(file);
    if (!checkpoint)
      throw new FractoryError(
        status.FAILED_PRECONDITION,
        'NO_CHECKPOINT',
        `no training of ${request.model} was interrupted on this node: train without resume`,
      );
    checkSame(request, checkpoint.head.settings);
    return checkpoint;
  }

  async #sourceOf(data: TrainingData): Promise<PictureSource> {
    if (data.kind === 'stored') return this.#options.storedPictures(data.client, data.prefix);
    return tarSource(
      await this.#dataSets.find(data.dataSet),
      this.#options.limits.max_data_set_bytes,
    );
  }
}
