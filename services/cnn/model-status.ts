import type { Card } from './card.js';
import { modelCorrupt } from './repository/choice.js';
import type { ModelRepository } from './repository/repository.js';
import type { ServedVersion } from './repository/served-version.js';
import type { Arrangement, ModelCounts, ModelExecutor, ModelSignature } from './serving.js';

/** One version of a model. */
export interface ModelStatus {
  readonly name: string;
  readonly version: number;
  /** Path of `model.onnx`. */
  readonly file: string;
  /** Undefined where there is none, or where it can't be read. */
  readonly card: Card | undefined;
  /** `ready` (loaded, or loaded at its first use), `unloaded` (by hand), or what is wrong. */
  readonly state: string;
  readonly loaded: boolean;
  /** Calls that name no version get this one. */
  readonly servesByDefault: boolean;
  readonly pinned: boolean;
  /** 0 while it is not loaded. */
  readonly memoryBytes: number;
  readonly arrangement: Arrangement | undefined;
  readonly signature: ModelSignature | undefined;
  /** Of `model.onnx`, hex; empty where it was not read. */
  readonly sha256: string;
  readonly counts: ModelCounts;
}

/** What a model says of itself. */
export interface ModelDescription {
  readonly name: string;
  readonly version: number;
  /** All that can be used, newest first. */
  readonly versions: readonly number[];
  readonly signature: ModelSignature;
  readonly card: Card | undefined;
}

/** What is to be told of a version; it may be one that can't be used. */
export function statusOf(
  one: ServedVersion,
  repository: ModelRepository,
  executor: ModelExecutor,
): ModelStatus {
  const { name, version, facts, state, resident } = one;
  const { card, signature, sha256, found } = facts;
  const loaded = resident?.loaded;
  return {
    ...{ name, version, file: found.file, card, state, signature, sha256 },
    loaded: loaded !== undefined,
    servesByDefault: repository.servesByDefault(one),
    pinned: repository.isPinned(one),
    memoryBytes: loaded?.memoryBytes ?? 0,
    arrangement: loaded?.arrangement,
    counts: executor.counts(name, version),
  };
}

/** From the model's file. Throws MODEL_CORRUPT where there is nothing to tell. */
export function descriptionOf(one: ServedVersion, repository: ModelRepository): ModelDescription {
  const { signature, card, problem } = one.facts;
  if (!signature) throw modelCorrupt(one, problem ?? 'it was never read');
  const versions = repository
    .list()
    .filter(({ name, isUsable }) => name === one.name && isUsable)
    .map((other) => other.version);
  return { name: one.name, version: one.version, versions, signature, card };
}
