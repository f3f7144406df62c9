import type { SkippedFile } from './data/data-set.js';
import type { TrainingEvent } from './training-event.js';

const TELL_MS = 250;
/** Files that are told by name; the others are counted. */
const MAX_TOLD = 1000;

/** Tells how the reading of a data set goes: a few times a second, and each file that is skipped. */
export class ReadingReport {
  readonly #tell: (event: TrainingEvent) => void;
  #toldMs = 0;
  #skipped = 0;

  constructor(tell: (event: TrainingEvent) => void) {
    this.#tell = tell;
  }

  readonly file = (files: number, of: number): void => {
    const nowMs = performance.now();
    if (nowMs - this.#toldMs < TELL_MS && files !== of) return;
    this.#toldMs = nowMs;
    this.#tell({ kind: 'reading', files, of });
  };

  readonly skipped = (file: SkippedFile): void => {
    if (this.#skipped++ < MAX_TOLD) this.#tell({ kind: 'skipped', ...file });
  };
}
