import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';

import { systemCodeOf } from '../../../runtime/errors.js';
import { isMissing } from './scan.js';

/**
 * The versions that were chosen by hand, one small file per model, `.pins/NAME`, so that members that share the folder never overwrite each other's
 * choices for other models.
 */
export class Pins {
  readonly #folder: string;

  constructor(root: string) {
    this.#folder = path.join(root, '.pins');
  }

  /** By model. */
  async read(): Promise<Map<string, number>> {
    const pins = new Map<string, number>();
    for (const name of await this.#names()) {
      const version = await this.#versionOf(name);
      if (version !== undefined) pins.set(name, version);
    }
    return pins;
  }

  /** Version 0 = none. Is on disk when it returns. */
  async write(name: string, version: number): Promise<void> {
    const file = path.join(this.#folder, name);
    if (version === 0) {
      await rm(file, { force: true });
      return;
    }
    await mkdir(this.#folder, { recursive: true });
    const temporary = path.join(this.#folder, `.${name}.${randomUUID()}`);
    try {
      const handle = await open(temporary, 'wx');
      try {
        await handle.writeFile(`${String(version)}\n`);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.#folder)).filter((name) => !name.startsWith('.'));
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** Undefined where the file went meanwhile, or holds no version; one that can't be read must not keep the models from serving. */
  async #versionOf(name: string): Promise<number | undefined> {
    try {
      const file = path.join(this.#folder, name);
      if (!(await stat(file)).isFile()) return undefined;
      const version = Number(await readFile(file, 'utf8'));
      return Number.isSafeInteger(version) && version > 0 ? version : undefined;
    } catch (error) {
      if (isMissing(error) || systemCodeOf(error) === 'EACCES') return undefined;
      throw error;
    }
  }
}
