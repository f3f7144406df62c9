import { availableParallelism } from 'node:os';

import { FractoryError, messageOf, unavailable } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { CnnLimits } from '../limits.js';
import type { ModelExecutor } from '../serving.js';
import { modelCorrupt, refusalOf } from './choice.js';
import type { VersionFacts } from './facts.js';
import { Residency } from './residency.js';
import type { Resident } from './residency.js';
import { nameOf, sourceOf } from './served-version.js';
import type { ServedVersion } from './served-version.js';

export interface VersionLoaderOptions {
  readonly limits: CnnLimits;
  /** Not owned. */
  readonly executor: ModelExecutor;
  readonly log: Logger;
}

/** Brings versions into memory and out of it. */
export class VersionLoader {
  readonly #options: VersionLoaderOptions;
  readonly #residency: Residency;
  readonly #background = new Set<Promise<void>>();
  #isClosed = false;

  constructor(options: VersionLoaderOptions) {
    this.#options = options;
    this.#residency = new Residency(options.limits.max_models_bytes, options.log);
  }

  /** How many models take memory. */
  get residents(): number {
    return this.#residency.size;
  }

  /** One load at a time, whoever asks. */
  load(one: ServedVersion): Promise<Resident> {
    one.loading ??= this.#loadNow(one).finally(() => {
      one.loading = undefined;
    });
    return one.loading;
  }

  /** The new model is loaded beside the old one, which serves until then and ends what it has begun. */
  async swap(one: ServedVersion, facts: VersionFacts, old: Resident): Promise<void> {
    // In use, so that it isn't the one that makes room.
    const release = old.use();
    try {
      const next = await this.#admit(facts);
      if (one.isUnloaded) {
        one.take(facts);
        await this.#residency.retire(next);
        return;
      }
      one.resident = next;
    } catch (error) {
      if (!isTooLarge(error)) {
        one.refused = facts;
        one.trouble = problemOf(error, one);
        return;
      }
      // Both at a time don't fit: the new one is loaded at its next use.
      one.resident = undefined;
    } finally {
      release();
    }
    one.take(facts);
    this.#inBackground(this.#residency.retire(old));
  }

  /** It was used just now. */
  touch(resident: Resident): void {
    this.#residency.touch(resident);
  }

  /** Takes a version out of memory once nobody uses it. */
  async drop(one: ServedVersion): Promise<void> {
    const { resident } = one;
    one.resident = undefined;
    if (resident) await this.#residency.retire(resident);
  }

  /** The same, without waiting for those who use it. */
  dropLater(one: ServedVersion): void {
    this.#inBackground(this.drop(one));
  }

  /** Says in the log what a version is now. */
  tell({ name, version, state, isUnloaded }: ServedVersion): void {
    const { log } = this.#options;
    if (state === 'ready') log.info({ model: name, version }, 'model ready');
    else if (!isUnloaded) log.warn({ model: name, version, state }, 'model refused');
  }

  /** Loads nothing any more; what is being loaded leaves at once. */
  refuse(): void {
    this.#isClosed = true;
  }

  /** Resolves when nobody uses a model and none is in memory. */
  async emptied(): Promise<void> {
    await this.#residency.retireAll();
    await Promise.all(this.#background);
  }

  async #loadNow(one: ServedVersion): Promise<Resident> {
    this.#checkOpen();
    try {
      const resident = await this.#admit(one.facts);
      if (one.isUnloaded || this.#isClosed) {
        await this.#residency.retire(resident);
        this.#checkOpen();
        throw refusalOf(one);
      }
      one.resident = resident;
      return resident;
    } catch (error) {
      if (isCorrupt(error)) {
        one.trouble = problemOf(error, one);
        this.tell(one);
      }
      throw error;
    }
  }

  #checkOpen(): void {
    if (this.#isClosed) throw unavailable('NODE_STOPPING', 'the node is stopping');
  }

  #admit(facts: VersionFacts): Promise<Resident> {
    const { executor, limits } = this.#options;
    const { signature, sizeBytes, card, found } = facts;
    if (!signature) throw modelCorrupt(found, facts.problem ?? 'it was never read');
    const workers = card?.execution?.workers ?? (limits.workers || availableParallelism());
    return this.#residency.admit(nameOf(found), sizeBytes * workers, () =>
      executor.load(sourceOf({ ...facts, signature })),
    );
  }

  #inBackground(work: Promise<void>): void {
    const told = work
      .catch((error: unknown) => {
        this.#options.log.error({ error: messageOf(error) }, 'work on models failed');
      })
      .finally(() => this.#background.delete(told));
    this.#background.add(told);
  }
}

/** Without the name of the model, which whoever tells it says. */
function problemOf(error: unknown, one: ServedVersion): string {
  return messageOf(error).replace(`${nameOf(one)} can't be used: `, '');
}

export function isCorrupt(error: unknown): boolean {
  return error instanceof FractoryError && error.reason === 'MODEL_CORRUPT';
}

function isTooLarge(error: unknown): boolean {
  return error instanceof FractoryError && error.reason === 'MODELS_TOO_LARGE';
}
