import type { FileHandle } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import { checkPlace } from './checks.js';
import type { ClientFolder } from './client-folder.js';
import type { Depot, PlacedContent, Placement } from './depot.js';
import { contentLost, fileNotFound, isFreed, isReadOnly, nameOf, translate } from './failures.js';
import type { FileRef } from './failures.js';
import type { FileRecord } from './metadata.js';
import type { Look, Shelf } from './shelf.js';

/** Looks at a file that is changed all the time. */
const MAX_LOOKS = 10;

/** Content of a file, or what stands in its place, and what is known of it. Whoever gets it closes the handle. */
export interface Found {
  readonly handle: FileHandle;
  readonly record: FileRecord;
}

/** Where a client's files are. */
export interface ClientPlace {
  readonly folder: ClientFolder;
  readonly shelf: Shelf;
}

/** Finds files, those too that were put into the folder by other means or are replaced meanwhile. */
export class FileFinder {
  readonly #placeOf: (client: string) => ClientPlace;
  readonly #depot: Depot | undefined;

  /** `depot`: where content may lie besides the folder. */
  constructor(placeOf: (client: string) => ClientPlace, depot: Depot | undefined) {
    this.#placeOf = placeOf;
    this.#depot = depot;
  }

  /**
   * What `find` finds, or for a content that lies elsewhere what `use` makes of it; what stands in its place is closed then. Of nothing there is no
   * memory, so an empty content counts as one of the folder.
   */
  async findOr<T>(
    ref: FileRef,
    signal: AbortSignal | undefined,
    use: (content: PlacedContent, depot: Depot) => Promise<T>,
  ): Promise<Found & { readonly placed?: T }> {
    let seen: bigint | undefined;
    for (;;) {
      const found = await this.find(ref, signal);
      const { handle, record } = found;
      const { placement } = record;
      if (!placement || placement.extents.length === 0) return found;
      await handle.close();
      try {
        const depot = this.#depotOf(ref, placement);
        return { ...found, placed: await use({ ...record, placement }, depot) };
      } catch (error) {
        if (!isFreed(error)) throw error;
        // Replaced and freed since we looked, or gone for good.
        if (seen === record.version) throw contentLost(ref, placement.device);
        seen = record.version;
      }
    }
  }

  /** The open content, or what stands in its place, with its record. The caller owns the handle. */
  async find(ref: FileRef, signal: AbortSignal | undefined): Promise<Found> {
    const { folder, shelf } = this.#placeOf(ref.client);
    if (!(await folder.exists())) throw fileNotFound(ref);
    for (let looks = 0; looks < MAX_LOOKS; looks++) {
      const look = await shelf.look(ref);
      const { handle, stats } = look;
      if (!handle) return await this.#missing(ref, shelf, look);
      try {
        const record = look.record ?? (await shelf.adopt(ref, look, signal));
        if (record) {
          await checkPlace(ref, handle, Number(stats?.size), record);
          return { handle, record };
        }
      } catch (error) {
        await handle.close();
        throw error;
      }
      await handle.close();
    }
    throw new FractoryError(
      status.UNAVAILABLE,
      'FILE_BUSY',
      `${nameOf(ref)} is being changed by other means`,
      { retryAfterMs: 500 },
    );
  }

  async #missing(ref: FileRef, shelf: Shelf, look: Look): Promise<never> {
    if (look.metadata.file && !look.metadata.pending) {
      try {
        await shelf.forget(ref);
      } catch (error) {
        // Where nothing can be written nothing can be confused either.
        const failure = translate(error, 'write', nameOf(ref));
        if (!isReadOnly(failure)) throw failure;
      }
    }
    throw fileNotFound(ref);
  }

  #depotOf(ref: FileRef, placement: Placement): Depot {
    if (this.#depot) return this.#depot;
    throw new FractoryError(
      status.FAILED_PRECONDITION,
      'NO_DEPOT',
      `the content of ${nameOf(ref)} lies on ${placement.device}, which this store does not reach`,
    );
  }
}
