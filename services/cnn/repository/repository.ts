import { mkdir } from 'node:fs/promises';

import type { Clock } from '../../../runtime/clock.js';
import { withDeadline } from '../../../runtime/deadline.js';
import { messageOf } from '../../../runtime/errors.js';
import type { FractoryError } from '../../../runtime/errors.js';
import type { Logger } from '../../../runtime/logger.js';
import { checkName } from '../../../runtime/names.js';
import type { CnnLimits } from '../limits.js';
import type { LoadedModel, ModelExecutor } from '../serving.js';
import {
  chooseDefault,
  modelCorrupt,
  refusalOf,
  refusalOfAll,
  unknownModel,
  unknownVersion,
} from './choice.js';
import type { Candidates } from './choice.js';
import { readFacts } from './facts.js';
import type { VersionFacts } from './facts.js';
import { FolderWatcher } from './folder-watcher.js';
import { Pins } from './pins.js';
import type { Resident } from './residency.js';
import { scanVersions } from './scan.js';
import type { FoundVersion } from './scan.js';
import { nameOf, ServedVersion } from './served-version.js';
import { isCorrupt, VersionLoader } from './version-loader.js';

export interface ModelRepositoryOptions {
  /** Folders with models, `NAME/VERSION/{model.onnx,model.json}`; the first wins. */
  readonly roots: readonly string[];
  /** The one of them that pins are kept in; it is made where it is missing. */
  readonly writableRoot: string;
  readonly limits: CnnLimits;
  /** Not owned. */
  readonly executor: ModelExecutor;
  readonly clock: Clock;
  readonly log: Logger;
}

/** A loaded model, for as long as it is used: it doesn't leave the memory before the lease is disposed of. */
export interface Lease extends Disposable {
  readonly one: ServedVersion;
  readonly facts: VersionFacts;
  readonly loaded: LoadedModel;
}

/** How often a call starts again because the files of its model have changed. */
const MAX_RENEWALS = 3;

/** How long a caller waits for a model. */
export interface Patience {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * The versions of models below some folders: which there are, which of them are in memory and which one answers. Follows the folders; a model that changes
 * while it serves is replaced once the new one has been verified, loaded and run, and until then, or where that fails, the old one serves.
 */
export class ModelRepository implements AsyncDisposable {
  readonly #options: ModelRepositoryOptions;
  readonly #loader: VersionLoader;
  readonly #pinsOnDisk: Pins;
  readonly #watcher: FolderWatcher;
  /** By name, then newest first. */
  #versions: readonly ServedVersion[] = [];
  #pins: ReadonlyMap<string, number> = new Map();
  #lastScan: Promise<void> = Promise.resolve();
  #nextScan: Promise<void> | undefined;
  #isClosed = false;

  private constructor(options: ModelRepositoryOptions) {
    this.#options = options;
    const { clock, limits, log, roots, writableRoot } = options;
    this.#loader = new VersionLoader(options);
    this.#pinsOnDisk = new Pins(writableRoot);
    this.#watcher = new FolderWatcher([...new Set([...roots, writableRoot])], {
      ...{ clock, rescanMs: limits.rescan_ms },
      onChange: () =>
        this.rescan().catch((error: unknown) => {
          log.warn({ error: messageOf(error) }, 'the folders of models can not be read');
        }),
    });
  }

  /** Reads all cards, checks the hash of every model and follows the folders from then on. Loads nothing. */
  static async open(options: ModelRepositoryOptions): Promise<ModelRepository> {
    const repository = new ModelRepository(options);
    await mkdir(options.writableRoot, { recursive: true }).catch((error: unknown) => {
      options.log.warn({ error: messageOf(error) }, 'models can not be written, nor pins kept');
    });
    await repository.rescan();
    repository.#watcher.start();
    return repository;
  }

  /** By name, newest version first; those that can't be used too. */
  list(): readonly ServedVersion[] {
    return this.#versions;
  }

  /** How many models take memory. */
  get residents(): number {
    return this.#loader.residents;
  }

  isPinned({ name, version }: ServedVersion): boolean {
    return this.#pins.get(name) === version;
  }

  servesByDefault(one: ServedVersion): boolean {
    return chooseDefault(this.#candidates(one.name)) === one;
  }

  /** The version that a call gets; 0 = the pinned one, or else the newest that can be used. Throws MODEL_NOT_FOUND, MODEL_CORRUPT, MODEL_UNLOADED, MODELS_TOO_LARGE. */
  find(name: string, version: number): ServedVersion {
    const { versions, pinned } = this.#known(name);
    if (version === 0) {
      const chosen = chooseDefault({ versions, pinned });
      if (chosen) return chosen;
      throw refusalOfAll(versions);
    }
    const one = this.#versionOf(name, version);
    if (one.isUsable) return one;
    throw refusalOf(one);
  }

  /** The version's entry, usable or not; 0 = as for calls, or the newest. Throws MODEL_NOT_FOUND. */
  look(name: string, version: number): ServedVersion {
    const candidates = this.#known(name);
    if (version !== 0) return this.#versionOf(name, version);
    const one = chooseDefault(candidates) ?? candidates.versions[0];
    if (one) return one;
    throw unknownModel(name, this.#names());
  }

  /** Loads the model if it isn't in memory. Where the newest fails to load and no version was asked for, the next one answers. */
  async acquire(name: string, version: number, patience: Patience): Promise<Lease> {
    for (let renewals = 0; ;) {
      const one = this.find(name, version);
      try {
        const resident =
          one.resident ??
          (await withDeadline(
            patience.timeoutMs,
            `loading ${nameOf(one)}`,
            () => this.#loader.load(one),
            patience.signal,
          ));
        // It may have left again, or been replaced, before this went on.
        if (resident.isRetired || one.resident !== resident) continue;
        return this.#lease(one, resident);
      } catch (error) {
        if (!isCorrupt(error)) throw error;
        // Its files may have changed since they were looked at.
        await this.rescan();
        if (one.isUsable ? ++renewals > MAX_RENEWALS : version !== 0) throw error;
      }
    }
  }

  /** Loads a version, also one that was unloaded by hand. */
  async load(name: string, version: number): Promise<ServedVersion> {
    await this.rescan();
    const one = version === 0 ? this.#wanted(name) : this.#versionOf(name, version);
    one.isUnloaded = false;
    // What could not take over is tried again.
    if (one.resident === undefined) one.take(one.refused ?? one.facts);
    if (!one.isUsable) throw refusalOf(one);
    if (one.resident === undefined) await this.#loader.load(one);
    return one;
  }

  /** Refuses a version from now on, ends what is under way with it and frees its memory. Version 0 = all of them. */
  async unload(name: string, version: number): Promise<void> {
    const { versions } = this.#known(name);
    const leaving = version === 0 ? versions : [this.#versionOf(name, version)];
    for (const one of leaving) one.isUnloaded = true;
    for (const one of leaving) {
      // Whoever asked for it hears of its errors.
      await one.loading?.catch(() => undefined);
      await this.#loader.drop(one);
    }
  }

  /** Chooses the version for calls that name none, once it is loaded; 0 = the newest again. */
  async pin(name: string, version: number): Promise<void> {
    this.#known(name);
    if (version !== 0) {
      await this.rescan();
      const one = this.find(name, version);
      if (one.resident === undefined) await this.#loader.load(one);
    }
    await this.#pinsOnDisk.write(name, version);
    await this.rescan();
  }

  /** Marks a version that answered otherwise than its card says. */
  refuse(one: ServedVersion, problem: string): FractoryError {
    one.trouble = problem;
    this.#loader.dropLater(one);
    this.#options.log.warn({ model: one.name, version: one.version, problem }, 'model refused');
    return modelCorrupt(one, problem);
  }

  /** Looks at the folders now; when it returns, what changed has been verified, and loaded where it takes over. */
  rescan(): Promise<void> {
    // A scan under way may have passed by what the caller means.
    this.#nextScan ??= this.#lastScan
      // Its own callers hear of its errors.
      .catch(() => undefined)
      .then(() => {
        this.#lastScan = this.#nextScan ?? this.#lastScan;
        this.#nextScan = undefined;
        return this.#isClosed ? undefined : this.#scan();
      });
    return this.#nextScan;
  }

  /** Loads nothing any more, and waits for those who use models. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    this.#loader.refuse();
    this.#watcher[Symbol.dispose]();
    await Promise.allSettled([this.#lastScan, this.#nextScan]);
    await Promise.allSettled(this.#versions.flatMap(({ loading }) => (loading ? [loading] : [])));
    await this.#loader.emptied();
  }

  async #scan(): Promise<void> {
    const pins = this.#pins;
    this.#pins = await this.#pinsOnDisk.read();
    const fresh = new Set<ServedVersion>();
    const found = await scanVersions(this.#options.roots);
    const known = new Map(this.#versions.map((one) => [keyOf(one), one]));
    for (const version of found) {
      const key = keyOf(version);
      const one = known.get(key);
      known.delete(key);
      if (!one) fresh.add(this.#add(new ServedVersion(await this.#factsOf(version))));
      else if (one.stamp !== version.stamp) {
        await this.#follow(one, version);
        fresh.add(one);
      }
    }
    for (const gone of known.values()) this.#drop(gone);
    for (const name of this.#names())
      await this.#warm(name, (one) => fresh.has(one) || pins.get(name) !== this.#pins.get(name));
  }

  #factsOf(found: FoundVersion): Promise<VersionFacts> {
    return readFacts(found, this.#options.limits.max_models_bytes);
  }

  #add(one: ServedVersion): ServedVersion {
    const before = (a: ServedVersion, b: ServedVersion): number =>
      a.name < b.name ? -1 : a.name > b.name ? 1 : b.version - a.version;
    this.#versions = [...this.#versions, one].sort(before);
    this.#loader.tell(one);
    return one;
  }

  #drop(one: ServedVersion): void {
    const { name, version } = one;
    this.#versions = this.#versions.filter((other) => other !== one);
    one.isUnloaded = true;
    this.#loader.dropLater(one);
    const { log } = this.#options;
    if (this.isPinned(one)) log.warn({ model: name, version }, 'the pinned version is gone');
    else log.info({ model: name, version }, 'model is gone');
  }

  /** Its files have changed. */
  async #follow(one: ServedVersion, found: FoundVersion): Promise<void> {
    const facts = await this.#factsOf(found);
    one.stamp = found.stamp;
    // Whoever asked for it hears of its errors.
    await one.loading?.catch(() => undefined);
    const { resident } = one;
    if (resident && facts.problem !== undefined) {
      one.refused = facts;
      one.trouble = facts.problem;
    } else if (resident && !isSameRun(facts, one.facts))
      await this.#loader.swap(one, facts, resident);
    else one.take(facts);
    this.#loader.tell(one);
  }

  /**
   * Where a version should take over from another one that is in memory, it is loaded before a call has to wait for it: once, when it is fresh, for what has left
   * the memory since had its reasons.
   */
  async #warm(name: string, isFresh: (one: ServedVersion) => boolean): Promise<void> {
    const { versions, pinned } = this.#candidates(name);
    for (;;) {
      const usable = versions.filter((one) => one.isUsable);
      const next = usable.find((one) => one.version === pinned) ?? usable[0];
      const isServed = versions.some((one) => one.resident !== undefined);
      if (!next || next.resident !== undefined || !isServed || !isFresh(next)) return;
      next.isWarming = true;
      try {
        await this.#loader.load(next);
      } catch (error) {
        // Where it is at fault itself, the next one is tried.
        if (next.isUsable) {
          this.#options.log.warn({ error: messageOf(error) }, 'a new version can not be loaded');
          return;
        }
      } finally {
        next.isWarming = false;
      }
    }
  }

  #lease(one: ServedVersion, resident: Resident): Lease {
    this.#loader.touch(resident);
    const release = resident.use();
    return { one, facts: one.facts, loaded: resident.loaded, [Symbol.dispose]: release };
  }

  #known(name: string): Candidates {
    checkName('model', name);
    const candidates = this.#candidates(name);
    if (candidates.versions.length === 0) throw unknownModel(name, this.#names());
    return candidates;
  }

  #candidates(name: string): Candidates {
    const versions = this.#versions.filter((one) => one.name === name);
    return { versions, pinned: this.#pins.get(name) };
  }

  #versionOf(name: string, version: number): ServedVersion {
    const { versions } = this.#known(name);
    const one = versions.find((other) => other.version === version);
    if (one) return one;
    throw unknownVersion(name, version, versions);
  }

  /** What loading by hand means without a version. */
  #wanted(name: string): ServedVersion {
    const { versions, pinned } = this.#known(name);
    const sound = versions.filter(({ facts }) => facts.problem === undefined);
    const one = sound.find(({ version }) => version === pinned) ?? sound[0] ?? versions[0];
    if (one) return one;
    throw unknownModel(name, this.#names());
  }

  #names(): string[] {
    return [...new Set(this.#versions.map(({ name }) => name))];
  }
}

function keyOf({ name, version }: { name: string; version: number }): string {
  return `${name}/${String(version)}`;
}

/** What is in memory fits both. */
function isSameRun(a: VersionFacts, b: VersionFacts): boolean {
  const keys = [a, b].map(({ sha256, embedding, card }) =>
    JSON.stringify([sha256, embedding, card?.execution, card?.input.width, card?.input.height]),
  );
  return keys[0] === keys[1];
}
