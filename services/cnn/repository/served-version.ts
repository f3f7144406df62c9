import type { ModelSource } from '../serving.js';
import type { VersionFacts } from './facts.js';
import type { Resident } from './residency.js';

/** One version of a model: what its files say, and whether it is in memory. Its changes are the repository's. */
export class ServedVersion {
  /** What is served, or would be. */
  facts: VersionFacts;
  /** What stands on disk, where that could not take over from what is served. */
  refused: VersionFacts | undefined;
  /** Of the files when they were last looked at; `facts` may be of an earlier moment, where that one goes on serving. */
  stamp: string;
  /** Why loading failed, or why what stands on disk now isn't served. */
  trouble: string | undefined;
  /** By hand; calls are refused until it is loaded by hand. */
  isUnloaded = false;
  /** It is being loaded to take over from an older version, which serves as long. */
  isWarming = false;
  loading: Promise<Resident> | undefined;
  #resident: Resident | undefined;

  constructor(facts: VersionFacts) {
    this.facts = facts;
    this.stamp = facts.found.stamp;
  }

  /** From now on these are its files. */
  take(facts: VersionFacts): void {
    this.facts = facts;
    this.refused = undefined;
    this.trouble = undefined;
  }

  get name(): string {
    return this.facts.found.name;
  }

  get version(): number {
    return this.facts.found.version;
  }

  /** Undefined while it is not in memory. */
  get resident(): Resident | undefined {
    if (this.#resident?.isRetired === true) this.#resident = undefined;
    return this.#resident;
  }

  set resident(resident: Resident | undefined) {
    this.#resident = resident;
  }

  /** A call would be answered. */
  get isUsable(): boolean {
    if (this.isUnloaded) return false;
    return this.resident !== undefined || this.problem === undefined;
  }

  /** Why it can't be loaded. */
  get problem(): string | undefined {
    return this.facts.problem ?? this.trouble;
  }

  /** `ready`, `unloaded`, or what is wrong. */
  get state(): string {
    if (this.isUnloaded) return 'unloaded';
    const { problem } = this;
    if (problem === undefined) return 'ready';
    return this.resident === undefined ? problem : `${problem}; what was loaded before serves on`;
  }
}

/** `model NAME version N` */
export function nameOf({ name, version }: { name: string; version: number }): string {
  return `model ${name} version ${String(version)}`;
}

/** What an executor has to know to load it. */
export function sourceOf({
  found,
  card,
  sha256,
  signature,
  embedding,
}: VersionFacts & { readonly signature: NonNullable<VersionFacts['signature']> }): ModelSource {
  const isInner = !signature.outputs.some(({ name }) => name === embedding);
  return {
    ...{ name: found.name, version: found.version, file: found.file, sha256, signature },
    extraOutput: embedding !== undefined && isInner ? { name: embedding } : undefined,
    fixed: fixedBy(card),
    exampleShapes: card ? pictureShape(card) : tensorShapes(signature),
  };
}

function fixedBy(card: VersionFacts['card']): ModelSource['fixed'] {
  const { workers, threads, maxBatch, maxDelayMs } = card?.execution ?? {};
  return {
    ...(workers === undefined ? {} : { workers }),
    ...(threads === undefined ? {} : { threads }),
    ...(maxBatch === undefined ? {} : { maxBatch }),
    ...(maxDelayMs === undefined ? {} : { maxDelayMs }),
  };
}

function pictureShape({
  input,
}: NonNullable<VersionFacts['card']>): ReadonlyMap<string, readonly number[]> {
  const { name, layout, width, height, channels } = input;
  return new Map([
    [name, layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels]],
  ]);
}

/** A batch of one; where more is left open, nobody knows which shapes make sense. */
function tensorShapes({
  inputs,
}: NonNullable<VersionFacts['signature']>): ReadonlyMap<string, readonly number[]> {
  const known = inputs.filter(({ shape, anyRank }) => !anyRank && !shape.slice(1).includes(-1));
  return new Map(
    known.map(({ name, shape }) => [name, shape.map((size) => (size === -1 ? 1 : size))]),
  );
}
