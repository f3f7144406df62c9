import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

import { systemCodeOf } from '../runtime/errors.js';
import { readIfThere, removeIfThere, replaceFile } from './atomic-file.js';
import { endProcesses } from './process-ending.js';
import { isRunning } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

const recordSchema = z.object({
  name: z.string(),
  type: z.string(),
  /** The `./datacenter node` that holds it. */
  launcher: z.object({ pid: z.number().int().positive(), startTime: z.string() }),
});

export type HandNode = z.output<typeof recordSchema>;

/** The nodes that were started by hand in a state folder: one small file each, so that `down` finds them. */
export class HandNodes {
  readonly #folder: string;

  constructor(statePath: string) {
    this.#folder = path.join(statePath, 'nodes');
  }

  async add(node: HandNode): Promise<void> {
    await replaceFile(this.#fileOf(node.name), `${JSON.stringify(node)}\n`);
  }

  async remove(name: string): Promise<void> {
    await removeIfThere(this.#fileOf(name));
  }

  /** Those that run; files of those that don't are removed. */
  async running(): Promise<HandNode[]> {
    const running: HandNode[] = [];
    for (const file of await this.#files()) {
      const node = recordSchema.safeParse(parse(await readIfThere(file)));
      if (node.success && (await isRunning(node.data.launcher))) running.push(node.data);
      else await removeIfThere(file);
    }
    return running;
  }

  /** Stops all of them; returns their names. */
  async stopAll(graceMs: number): Promise<string[]> {
    const nodes = await this.running();
    const launchers: ProcessIdentity[] = nodes.map(({ launcher }) => launcher);
    await endProcesses(launchers, graceMs);
    for (const { name } of nodes) await this.remove(name);
    return nodes.map(({ name }) => name);
  }

  #fileOf(name: string): string {
    return path.join(this.#folder, `${name}.json`);
  }

  async #files(): Promise<string[]> {
    try {
      const names = await readdir(this.#folder);
      return names
        .filter((name) => name.endsWith('.json'))
        .map((name) => path.join(this.#folder, name));
    } catch (error) {
      if (systemCodeOf(error) === 'ENOENT') return [];
      throw error;
    }
  }
}

function parse(content: string | undefined): unknown {
  try {
    return JSON.parse(content ?? '');
  } catch {
    return undefined;
  }
}
