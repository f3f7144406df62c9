import { createHash } from 'node:crypto';
import { lstat, rm } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import path from 'node:path';

import { systemCodeOf } from '../../runtime/errors.js';
import { syncFolder } from '../../runtime/folder-sync.js';
import { ensureFolder, isFolder } from './durable.js';
import { notAFile } from './failures.js';
import type { FileRef } from './failures.js';

/** Names of files may not start with a dot, so this can't collide with one. */
export const HIDDEN = '.fractory';
const SHARDS = 64;

/** Where the files of one client and what is known of them are. */
export class ClientFolder {
  readonly client: string;
  readonly path: string;
  readonly #hidden: string;
  readonly #durable: Map<string, Promise<void>>;

  /** `durable`: when the folders of clients survive a power cut, as far as this process knows; shared by all that it opens. */
  constructor(root: string, client: string, durable = new Map<string, Promise<void>>()) {
    this.client = client;
    this.#durable = durable;
    this.path = path.join(root, client);
    this.#hidden = path.join(this.path, HIDDEN);
  }

  get temporary(): string {
    return path.join(this.#hidden, 'tmp');
  }

  get locks(): string {
    return path.join(this.#hidden, 'locks');
  }

  /** The content, exactly as users see it. */
  content(name: string): string {
    return path.join(this.path, name);
  }

  metadata(name: string): string {
    return path.join(this.#hidden, 'meta', `${name}.json`);
  }

  /** Lock of a name; names share a fixed number of locks. */
  lock(name: string): string {
    const shard = createHash('sha256').update(name).digest().readUInt8() % SHARDS;
    return path.join(this.locks, String(shard).padStart(2, '0'));
  }

  /** Whether it is there; refuses a folder that is a link. */
  async exists(): Promise<boolean> {
    if (!(await isFolder(this.path))) return false;
    await isFolder(this.#hidden);
    return true;
  }

  /** Makes its folders, durably: what is acknowledged lies in them. */
  async ensure(): Promise<void> {
    const parts = [this.temporary, this.locks, path.dirname(this.metadata(''))];
    const made = [await ensureFolder(this.path), await ensureFolder(this.#hidden)];
    made.push(...(await Promise.all(parts.map(ensureFolder))));
    if (made.includes(true)) this.#durable.delete(this.client);
    // Whoever made them may not have come to sync them: another process, or another write of this one.
    let durable = this.#durable.get(this.client);
    if (!durable) {
      durable = this.#sync();
      this.#durable.set(this.client, durable);
    }
    await durable;
  }

  /** Once for all writes that come at the same time, such as those that come to a leader that has just begun. */
  async #sync(): Promise<void> {
    try {
      const folders = [path.dirname(this.path), this.path, this.#hidden];
      await Promise.all(folders.map(syncFolder));
    } catch (error) {
      this.#durable.delete(this.client);
      throw error;
    }
  }

  /** Removes a temporary file that wasn't moved to its place. */
  discard(name: string): Promise<void> {
    return rm(path.join(this.temporary, name), { force: true });
  }

  /** What stands at a file's place, if anything; anything but a plain file is an error. */
  async statContent(ref: FileRef): Promise<BigIntStats | undefined> {
    try {
      const found = await lstat(this.content(ref.name), { bigint: true });
      checkPlain(ref, found);
      return found;
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }
}

/** Refuses folders, links, pipes and devices. */
export function checkPlain(ref: FileRef, found: BigIntStats): void {
  if (found.isFile()) return;
  const what = found.isSymbolicLink()
    ? 'a symbolic link'
    : found.isDirectory()
      ? 'a folder'
      : 'a device or pipe';
  throw notAFile(ref, what);
}
