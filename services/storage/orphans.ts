import { readdir } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { ClientFolder } from './client-folder.js';
import type { Depot } from './depot.js';
import type { FileRef } from './failures.js';
import { clientNames } from './listing.js';
import { metadataOf, readMetadataText } from './metadata.js';
import type { Metadata } from './metadata.js';
import type { Owner } from './owner.js';

export interface OrphanSearch {
  readonly root: string;
  readonly depot: Depot;
  readonly owner: Owner;
  /** What the labels of this folder's extents start with. */
  readonly prefix: string;
  /** Ends a change of a file that was left half done. */
  readonly repair: (ref: FileRef) => Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * Frees extents that dead processes made and no file has; returns how many. The order matters: extents first, then the files. Whoever made an extent
 * was dead before it was listed, so no file can come to have it afterwards.
 */
export async function freeOrphans(search: OrphanSearch): Promise<number> {
  const { depot, owner, prefix, signal } = search;
  const orphans = new Set<string>();
  for await (const page of depot.extents(prefix, signal))
    for (const { id, label } of page) if ((await owner.lifeOf(label)) === 'gone') orphans.add(id);
  for await (const id of extentsInUse(search)) orphans.delete(id);
  const ids = [...orphans];
  const BATCH = 1000;
  for (let at = 0; at < ids.length; at += BATCH)
    await depot.free(ids.slice(at, at + BATCH), signal);
  return ids.length;
}

/** Extents of all files, half-done changes too. Throws DATA_LOSS at damaged metadata: what it had is not known, so nothing may be freed. */
async function* extentsInUse({ root, signal, repair }: OrphanSearch): AsyncGenerator<string, void> {
  for (const client of await clientNames(root)) {
    const folder = new ClientFolder(root, client);
    for (const entry of await metadataFiles(path.dirname(folder.metadata('')))) {
      signal.throwIfAborted();
      const name = entry.slice(0, -'.json'.length);
      const ref = { client, name };
      const read = async (): Promise<Metadata> =>
        metadataOf(ref, await readMetadataText(folder.metadata(name)));
      let metadata = await read();
      if (metadata.pending) {
        await repair(ref);
        metadata = await read();
      }
      for (const one of [metadata.file, metadata.pending?.file])
        yield* one?.placement?.extents ?? [];
    }
  }
}

async function metadataFiles(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder)).filter((entry) => entry.endsWith('.json'));
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}
