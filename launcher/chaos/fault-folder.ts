import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';

import { z } from 'zod';

import { readIfThere, removeIfThere, replaceFile } from '../atomic-file.js';
import { systemCodeOf } from '../../runtime/errors.js';
import type { LinkFault } from './link-faults.js';

const share = z.number().gt(0).lte(1);

const faultSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('cut'),
    id: z.string(),
    members: z.array(z.string()),
    from: z.array(z.string()).optional(),
    oneWay: z.boolean(),
  }),
  z.object({
    kind: z.literal('slow'),
    id: z.string(),
    member: z.string(),
    bitsPerSecond: z.number().positive().optional(),
    delayMs: z.number().positive().optional(),
    loss: share.optional(),
  }),
]);

/** The faults that are to be in force, one file each, so that several processes can change them at the same time. */
export class FaultFolder {
  readonly #path: string;

  constructor(statePath: string) {
    this.#path = path.join(statePath, 'link-faults');
  }

  /** In the order of their ids. */
  async list(): Promise<LinkFault[]> {
    const names = (await this.#names()).filter((name) => name.endsWith('.json')).sort();
    const contents = await Promise.all(names.map((name) => readIfThere(this.#file(name))));
    return contents.flatMap((content) =>
      // One that went meanwhile is no longer to be in force.
      content === undefined ? [] : [faultSchema.parse(JSON.parse(content))],
    );
  }

  put(fault: LinkFault): Promise<void> {
    return replaceFile(this.#file(`${fault.id}.json`), `${JSON.stringify(fault)}\n`);
  }

  take(fault: LinkFault): Promise<void> {
    return removeIfThere(this.#file(`${fault.id}.json`));
  }

  /** Forgets all. */
  remove(): Promise<void> {
    return rm(this.#path, { recursive: true, force: true });
  }

  #file(name: string): string {
    return path.join(this.#path, name);
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#path);
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}
