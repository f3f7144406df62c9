import { status } from '@grpc/grpc-js';

import { FractoryError, messageOf } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import type { LoadedModel } from '../serving.js';

const RETRY_AFTER_MS = 500;

/** A model in memory and who uses it. It stays until it is retired and its last user has gone. */
export class Resident {
  readonly loaded: LoadedModel;
  /** Counts up with every use, over all models. */
  lastUse = 0;
  #users = 0;
  #gone: Promise<void> | undefined;
  #drained: () => void = () => undefined;

  constructor(loaded: LoadedModel) {
    this.loaded = loaded;
  }

  get isIdle(): boolean {
    return this.#users === 0;
  }

  /** Nobody may begin to use it. */
  get isRetired(): boolean {
    return this.#gone !== undefined;
  }

  /** Returns what ends the use; idempotent. */
  use(): () => void {
    this.#users++;
    let isUsed = true;
    return () => {
      if (!isUsed) return;
      isUsed = false;
      this.#users--;
      if (this.#users === 0) this.#drained();
    };
  }

  /** Lets nobody in any more, waits for those who use it and frees its memory; idempotent. */
  retire(): Promise<void> {
    this.#gone ??= this.#leave();
    return this.#gone;
  }

  async #leave(): Promise<void> {
    if (this.#users > 0)
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    await this.loaded.unload();
  }
}

/** The models in memory, under one limit: before it is passed, the least recently used one that is idle leaves. */
export class Residency {
  readonly #maxBytes: number;
  readonly #log: Logger;
  /** Those that still take memory; retired ones too, until they are gone. */
  readonly #residents = new Set<Resident>();
  #reservedBytes = 0;
  #uses = 0;

  constructor(maxBytes: number, log: Logger) {
    this.#maxBytes = maxBytes;
    this.#log = log;
  }

  /** How many models take memory. */
  get size(): number {
    return this.#residents.size;
  }

  /** What they take, and what is kept free for those that are being loaded. */
  get usedBytes(): number {
    return [...this.#residents].reduce(
      (sum, { loaded }) => sum + loaded.memoryBytes,
      this.#reservedBytes,
    );
  }

  /**
   * Loads a model once there is room for it, `bytes` by estimate. Throws MODELS_TOO_LARGE where the others are in use, or where it is larger than
   * the limit by itself; what `load` throws passes through.
   */
  async admit(what: string, bytes: number, load: () => Promise<LoadedModel>): Promise<Resident> {
    await this.#makeRoom(what, bytes);
    this.#reservedBytes += bytes;
    let loaded: LoadedModel;
    try {
      loaded = await load();
    } finally {
      this.#reservedBytes -= bytes;
    }
    const resident = new Resident(loaded);
    // The newest use, so that it isn't the first to leave.
    this.touch(resident);
    this.#residents.add(resident);
    try {
      await this.#makeRoom(what, 0, resident);
    } catch (error) {
      await this.retire(resident);
      throw error;
    }
    return resident;
  }

  touch(resident: Resident): void {
    resident.lastUse = ++this.#uses;
  }

  async retire(resident: Resident): Promise<void> {
    try {
      await resident.retire();
    } finally {
      this.#residents.delete(resident);
    }
  }

  async retireAll(): Promise<void> {
    await Promise.all([...this.#residents].map((resident) => this.retire(resident)));
  }

  /** Until `bytes` more fit, beside `kept`. */
  async #makeRoom(what: string, bytes: number, kept?: Resident): Promise<void> {
    const ownBytes = bytes + (kept?.loaded.memoryBytes ?? 0);
    if (ownBytes > this.#maxBytes) throw tooLarge(what, ownBytes, this.#maxBytes);
    while (this.usedBytes + bytes > this.#maxBytes) {
      const leaving = this.#leastRecentlyUsed(kept);
      if (!leaving) throw noRoom(what, ownBytes, this.usedBytes, this.#maxBytes);
      const { name, version } = leaving.loaded.source;
      this.#log.info({ model: name, version, for: what }, 'model leaves the memory');
      await this.retire(leaving).catch((error: unknown) => {
        this.#log.error({ model: name, version, error: messageOf(error) }, 'unloading failed');
      });
    }
  }

  /** Of those that are idle, or are leaving anyway. */
  #leastRecentlyUsed(kept: Resident | undefined): Resident | undefined {
    return [...this.#residents]
      .filter((one) => one !== kept && (one.isIdle || one.isRetired))
      .sort((a, b) => a.lastUse - b.lastUse)[0];
  }
}

function tooLarge(what: string, bytes: number, maxBytes: number): FractoryError {
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'MODELS_TOO_LARGE',
    `${what} takes about ${String(bytes)} bytes of memory, the limit max_models_bytes is ${String(maxBytes)}`,
    { metadata: { limit: 'max_models_bytes', allowed: String(maxBytes) } },
  );
}

function noRoom(what: string, bytes: number, used: number, maxBytes: number): FractoryError {
  return new FractoryError(
    status.RESOURCE_EXHAUSTED,
    'MODELS_TOO_LARGE',
    `${what} takes about ${String(bytes)} bytes of memory, models in use take ${String(used)}, the limit max_models_bytes is ${String(maxBytes)}`,
    {
      retryAfterMs: RETRY_AFTER_MS,
      metadata: { limit: 'max_models_bytes', allowed: String(maxBytes) },
    },
  );
}
