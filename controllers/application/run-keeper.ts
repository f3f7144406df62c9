import type { RunEnded } from '../../protos/gen/fractory/v1/application.js';
import type { PinnedStep } from '../../protos/gen/fractory/v1/journal.js';

/** Writes down what must outlive the node that runs a run. What it throws is UNAVAILABLE; the run is abandoned where it belongs to another owner by then. */
export interface RunKeeper {
  /** Number below those of all attempts of this owner, above those of all others before. */
  readonly attemptBase: number;
  /** Attempts of owners before. */
  readonly attemptsBefore: number;
  /** Where steps are done that an attempt of owners before may have begun. */
  readonly pinned: readonly PinnedStep[];
  /** An attempt, the `attempts`th of this run, is about to begin that may do what must not be done twice. */
  pin(attempts: number, pinned: readonly PinnedStep[], signal: AbortSignal): Promise<void>;
  /** Resolves when the end is written: only then may anybody hear of it. */
  end(ended: RunEnded): Promise<void>;
}
