import { createHash } from 'node:crypto';

import { FractoryError } from '../../../runtime/errors.js';
import type { FileStore } from '../../../services/storage/store.js';

/** What was told of a name, and what was asked and never answered. */
interface Known {
  readonly version: bigint;
  /** Absent = there is no file. */
  readonly sha256?: string | undefined;
  readonly asked?: { readonly sha256?: string | undefined } | undefined;
}

export interface ToldCounts {
  acknowledged: number;
  /** Acknowledged and not there. */
  lost: number;
  /** Neither what was acknowledged nor what was asked. */
  torn: number;
}

/** What one client was told of its files, each of which it changes one time after the other; and whether it is so. */
export class ToldFiles {
  readonly counts: ToldCounts = { acknowledged: 0, lost: 0, torn: 0 };
  readonly #client: string;
  readonly #known = new Map<string, Known>();

  constructor(client: string) {
    this.#client = client;
  }

  /** A write of this content is asked for; none = a deletion. */
  asked(name: string, sha256?: string): void {
    const { version, sha256: now } = this.#of(name);
    this.#known.set(name, { version, sha256: now, asked: { sha256 } });
  }

  /** What was asked for is done. */
  done(name: string, version: bigint): void {
    const { asked } = this.#of(name);
    this.counts.acknowledged++;
    this.#known.set(name, { version, sha256: asked?.sha256 });
  }

  /** What was asked for will never be done. */
  refused(name: string): void {
    const { version, sha256 } = this.#of(name);
    this.#known.set(name, { version, sha256 });
  }

  async checkAll(store: FileStore): Promise<void> {
    for (const name of this.#known.keys()) await this.check(store, name);
  }

  async check(store: FileStore, name: string): Promise<void> {
    const { version, sha256, asked } = this.#of(name);
    const found = await this.#find(store, name);
    if (found === 'torn') {
      this.counts.torn++;
      return;
    }
    if (found.sha256 === sha256 && (sha256 === undefined || found.version === version)) return;
    const isAsked = asked !== undefined && asked.sha256 === found.sha256;
    if (isAsked && found.sha256 === undefined) this.#known.set(name, { version });
    else if (isAsked && found.version > version) this.#known.set(name, found);
    else this.counts.lost++;
  }

  #of(name: string): Known {
    return this.#known.get(name) ?? { version: 0n };
  }

  async #find(
    store: FileStore,
    name: string,
  ): Promise<'torn' | { readonly version: bigint; readonly sha256?: string }> {
    try {
      const { file, data } = await store.readAll({ client: this.#client, name }, 1024 ** 2, 'test');
      const sha256 = createHash('sha256').update(data).digest('hex');
      return { version: file.version, sha256 };
    } catch (error) {
      if (!(error instanceof FractoryError)) throw error;
      return error.reason === 'FILE_NOT_FOUND' ? { version: 0n } : 'torn';
    }
  }
}
