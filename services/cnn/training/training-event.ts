import type { ClassCount } from './data/balance.js';
import type { SkippedFile } from './data/data-set.js';
import type { EpochRecord } from './loop/epoch-record.js';
import type { StepProgress } from './loop/messages.js';

/** What a training tells while it goes on. Readings and skipped files come first, `finished` comes last. */
export type TrainingEvent =
  | {
      readonly kind: 'reading';
      readonly files: number;
      /** 0 = not known yet. */ readonly of: number;
    }
  | ({ readonly kind: 'skipped' } & SkippedFile)
  | ({ readonly kind: 'started' } & TrainingStart)
  | ({ readonly kind: 'progress' } & StepProgress)
  | ({ readonly kind: 'epoch' } & EpochRecord)
  | ({ readonly kind: 'finished' } & TrainingResult);

export interface TrainingStart {
  readonly classes: readonly ClassCount[];
  readonly epochs: number;
  readonly stepsPerEpoch: number;
  readonly batch: number;
  readonly weights: number;
  readonly network: string;
  /** Epochs of an earlier call. */
  readonly done: readonly EpochRecord[];
  readonly skipped: number;
  readonly duplicates: number;
}

export interface TrainingResult {
  readonly model: string;
  readonly version: number;
  /** On the validation pictures, by the model as it is served. */
  readonly accuracy: number;
  readonly confusion: readonly (readonly number[])[];
  readonly labels: readonly string[];
  readonly seconds: number;
  readonly sha256: string;
  readonly sizeBytes: number;
}
