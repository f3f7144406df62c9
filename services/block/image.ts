import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';

import type { BlockStore } from './block-content.js';
import { deviceFailed, translate } from './failures.js';

const ZEROS_BYTES = 1024 ** 2;

/** The file with the blocks. Errors come translated. */
export class Image implements BlockStore {
  readonly name: string;
  readonly #handle: FileHandle;
  readonly #zeros = Buffer.alloc(ZEROS_BYTES);
  #syncing: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: Error | undefined;

  private constructor(name: string, handle: FileHandle) {
    this.name = name;
    this.#handle = handle;
  }

  /** Opens the file and makes it as long as `sizeBytes` if it is shorter: what was not there takes no room and is zero. */
  static async open(file: string, name: string, sizeBytes: number): Promise<Image> {
    const handle = await open(file, 'r+');
    try {
      if ((await handle.stat()).size < sizeBytes) {
        await handle.truncate(sizeBytes);
        await handle.sync();
      }
      return new Image(name, handle);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async readAt(target: Uint8Array, at: number): Promise<number> {
    try {
      return (await this.#handle.read(target, 0, target.length, at)).bytesRead;
    } catch (error) {
      throw translate(error, this.name);
    }
  }

  async writeAt(data: Uint8Array, at: number): Promise<void> {
    try {
      for (let done = 0; done < data.length;)
        done += (await this.#handle.write(data, done, data.length - done, at + done)).bytesWritten;
    } catch (error) {
      throw translate(error, this.name);
    }
  }

  async zero(at: number, length: number): Promise<void> {
    for (let done = 0; done < length; done += ZEROS_BYTES)
      await this.writeAt(this.#zeros.subarray(0, Math.min(ZEROS_BYTES, length - done)), at + done);
  }

  /** Makes durable what was written before this call. Calls that come while a sync is under way share the next one. */
  sync(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#next ??= this.#syncAfter(this.#syncing);
    return this.#next;
  }

  async close(): Promise<void> {
    // Whoever asked for a sync hears of its failure.
    await this.#next?.catch(() => undefined);
    await this.#syncing?.catch(() => undefined);
    await this.#handle.close();
  }

  async #syncAfter(before: Promise<void> | undefined): Promise<void> {
    // Whoever asked for that one hears of its failure.
    await before?.catch(() => undefined);
    this.#syncing = this.#next;
    this.#next = undefined;
    try {
      if (this.#failure) throw this.#failure;
      await this.#handle.datasync();
    } catch (error) {
      this.#failure ??= deviceFailed(this.name, error);
      throw this.#failure;
    }
  }
}
