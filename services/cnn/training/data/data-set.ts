import type { TrainingLimits } from '../limits.js';
import { checkBalance, countsOf } from './balance.js';
import type { ClassCount } from './balance.js';
import type { PixelStore, PixelStoreMemory } from './pixel-store.js';
import { Reading } from './reading.js';
import { dataHashOf, select } from './selection.js';
import type { ChosenPicture, SelectionOptions } from './selection.js';
import type { PictureSource } from './source.js';

/** Pictures of one side, as they are sent to threads. */
export interface PictureSet {
  readonly pixels: PixelStoreMemory;
  /** Where in the store each picture is. */
  readonly slots: Int32Array;
  /** Class of each picture. */
  readonly labels: Int32Array;
}

/** Pictures that are ready to be learned from. */
export interface DataSet {
  /** By name; a class is its place here. */
  readonly labels: readonly string[];
  readonly counts: readonly ClassCount[];
  readonly dataHash: string;
  readonly split: 'folders' | 'content';
  readonly duplicates: number;
  readonly skipped: number;
  readonly training: PictureSet;
  /** The same pictures at each of the sizes that were asked for. */
  readonly validation: readonly PictureSet[];
  /** The files that validate. */
  readonly validationFiles: readonly ValidationFile[];
}

/** A file to be asked about later. */
export interface ValidationFile {
  /** See `FileKeys`. */
  readonly key: string;
  readonly sha256: string;
  /** Its class. */
  readonly label: number;
}

export interface SkippedFile {
  readonly name: string;
  readonly reason: string;
}

export interface ReadingOptions extends SelectionOptions {
  /** Width and height in which pictures to learn from are kept. */
  readonly trainingSidePx: number;
  /** Width and height, one or several, in which those to validate with are kept, when so many are to be learned from. */
  readonly validationSidesPx: (trainingPictures: number) => readonly number[];
  readonly limits: TrainingLimits;
  readonly signal: AbortSignal;
  /** `of` = 0: not known yet. Comes with every file. */
  readonly onFile: (files: number, of: number) => void;
  readonly onSkipped: (file: SkippedFile) => void;
}

/**
 * Reads, chooses and decodes the pictures of a source. What is no picture or can't be read is reported and left alone. Goes through the source twice:
 * for hashes, then for pixels. A sample is drawn before anything is decoded. Errors: BAD_TAR, LIMIT_EXCEEDED and those of `checkBalance`.
 */
export async function readDataSet(
  source: PictureSource,
  options: ReadingOptions,
): Promise<DataSet> {
  const reading = new Reading(source, options);
  const { pictures, contradictions, duplicates, split } = await select(
    await reading.look(),
    options,
  );
  for (const { path, label } of contradictions)
    reading.skip(path, `is the same picture as one in another class than ${label}`);
  const stores = reading.storesFor(pictures);
  const good = await reading.decode(pictures, stores);
  const counts = countsOf(good);
  checkBalance(counts);
  const labels = counts.map(({ label }) => label);
  const ofSide = (side: string): ChosenPicture[] => good.filter((one) => one.side === side);
  const training = ofSide('training');
  const validating = ofSide('validation');
  const classOf = new Map(labels.map((label, at) => [label, at]));
  const setOf = (members: readonly ChosenPicture[], store: PixelStore): PictureSet => ({
    pixels: store.memory,
    slots: Int32Array.from(members, ({ index }) => stores.slots.get(index) ?? 0),
    labels: Int32Array.from(members, ({ label }) => classOf.get(label) ?? 0),
  });
  return {
    ...{ labels, counts, duplicates, split, skipped: reading.skipped },
    dataHash: await dataHashOf(good),
    training: setOf(training, stores.training),
    validation: stores.validation.map((store) => setOf(validating, store)),
    validationFiles: validating.map(({ key, sha256, label }) => ({
      ...{ key, sha256, label: classOf.get(label) ?? 0 },
    })),
  };
}
