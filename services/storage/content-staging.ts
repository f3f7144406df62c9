import type { ClientFolder } from './client-folder.js';
import { checkHash } from './checks.js';
import { chunksOf, stubOf } from './depot.js';
import type { ContentSource, Depot } from './depot.js';
import { nameOf } from './failures.js';
import type { FileRef } from './failures.js';
import { mediaTypeOfName } from './media-types.js';
import type { Owner } from './owner.js';
import { stage } from './staging.js';
import type { Staged } from './staging.js';
import type { WriteOptions } from './stored-file.js';

/** Where content goes before it is put in place. */
export interface StagingPlaces {
  readonly owner: Owner;
  readonly maxFileBytes: number;
  /** Elsewhere, under labels that begin like this; undefined: into the folder. */
  readonly elsewhere: { readonly depot: Depot; readonly label: string } | undefined;
}

interface Elsewhere {
  readonly elsewhere: NonNullable<StagingPlaces['elsewhere']>;
}

/** Puts all of the content, found right, into a temporary file, or elsewhere with a temporary file that says where. */
export function stageContent(
  places: StagingPlaces,
  ref: FileRef,
  folder: ClientFolder,
  source: ContentSource,
  options: WriteOptions,
): Promise<Staged> {
  const { elsewhere } = places;
  return elsewhere
    ? stageElsewhere({ ...places, elsewhere }, ref, folder, source, options)
    : stageHere(places, ref, folder, source, options);
}

async function stageHere(
  { owner, maxFileBytes: maxBytes }: StagingPlaces,
  ref: FileRef,
  folder: ClientFolder,
  source: ContentSource,
  { signal, sha256 }: WriteOptions,
): Promise<Staged> {
  const name = owner.newName('put', ref.name);
  const limits = { what: nameOf(ref), maxBytes, signal };
  const staged = await stage(folder.temporary, name, chunksOf(source), limits);
  try {
    checkHash(ref, staged.sha256, sha256);
    signal?.throwIfAborted();
    return staged;
  } catch (error) {
    await folder.discard(name);
    throw error;
  }
}

async function stageElsewhere(
  { owner, maxFileBytes: maxBytes, elsewhere }: StagingPlaces & Elsewhere,
  ref: FileRef,
  folder: ClientFolder,
  source: ContentSource,
  { signal, sha256, mediaType }: WriteOptions,
): Promise<Staged> {
  const { depot } = elsewhere;
  const name = owner.newName('put', ref.name);
  const limits = { what: nameOf(ref), maxBytes, signal };
  const label = owner.newName(elsewhere.label, nameOf(ref));
  const wantsHead = !mediaType && mediaTypeOfName(ref.name) === undefined;
  const deposit = await depot.deposit(source, { ...limits, label, wantsHead });
  try {
    checkHash(ref, deposit.sha256, sha256);
    signal?.throwIfAborted();
    const stub = Buffer.from(stubOf(deposit));
    const { inode } = await stage(folder.temporary, name, [stub], {
      ...limits,
      maxBytes: stub.length,
    });
    return { ...deposit, name, inode };
  } catch (error) {
    depot.release(deposit.placement);
    throw error;
  }
}
