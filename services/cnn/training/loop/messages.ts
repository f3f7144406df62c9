import type { WorkerFailure } from '../../../../runtime/worker-tasks.js';
import type { PictureSet } from '../data/data-set.js';
import type { CheckpointHead } from './checkpoint.js';
import type { EpochRecord } from './epoch-record.js';
import type { TrainingPlan } from './schedule.js';

/** What the thread that trains starts with. */
export interface TrainingTask {
  /** URL of a module that exports `createTrainingEngine`. */
  readonly engineModule: string;
  readonly head: Omit<CheckpointHead, 'done' | 'best' | 'plan'>;
  readonly plan: TrainingPlan;
  readonly threads: number;
  readonly training: PictureSet;
  /** The first is what the best epoch is chosen by; the others are only measured. */
  readonly validation: readonly PictureSet[];
  readonly checkpointFile: string;
  /** Go on from the checkpoint. */
  readonly resume: boolean;
  /** One Int32; not 0 = stop. */
  readonly stop: SharedArrayBuffer;
}

/** How far a training is; a few a second. */
export interface StepProgress {
  /** From 1. */
  readonly epoch: number;
  readonly step: number;
  /** Mean over the last steps. */
  readonly loss: number;
  readonly accuracy: number;
  readonly imagesPerSecond: number;
  readonly etaSeconds: number;
}

/** What the training thread tells; `done`, `stopped` or `failed` comes last. */
export type TrainingMessage =
  | { readonly kind: 'ready'; readonly weights: number; readonly done: readonly EpochRecord[] }
  | { readonly kind: 'progress'; readonly progress: StepProgress }
  | {
      readonly kind: 'epoch';
      readonly record: EpochRecord;
      /** Validation accuracy at each size that was asked for. */
      readonly accuracies: readonly { readonly sidePx: number; readonly accuracy: number }[];
    }
  | { readonly kind: 'done' }
  | { readonly kind: 'stopped' }
  | { readonly kind: 'failed'; readonly failure: WorkerFailure };
