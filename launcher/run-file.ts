import path from 'node:path';
import { z } from 'zod';

import { createFile, readIfThere, removeIfThere, replaceFile } from './atomic-file.js';
import { isRunning } from './process-identity.js';

const identitySchema = z.object({ pid: z.number().int().positive(), startTime: z.string() });

const runSchema = z.object({
  /** The launcher that supervises. */
  launcher: identitySchema,
  phase: z.enum(['starting', 'serving', 'stopping']),
  detached: z.boolean(),
  dataCenter: z.string(),
  /** Absolute. */
  configFile: z.string(),
  /** `zookeeper://host:port,...` or `embedded://host:port`; empty while nobody knows yet. */
  coordinator: z.string(),
  startedAt: z.string(),
  /** Path of the launcher's socket; absent where it has none. */
  control: z.string().optional(),
  /** Where nodes and servers have links of their own, in namespaces that only the launcher's side can name. */
  network: z
    .object({
      /** Namespace with the bridge. */
      switchNamespace: z.string(),
      /** Address of the launcher and of commands. */
      driverAddress: z.string(),
      /** Address of the embedded coordinator, where it is that. */
      coordinatorAddress: z.string(),
      links: z.array(
        z.object({
          name: z.string(),
          kind: z.enum(['node', 'zookeeper']),
          address: z.string(),
          namespace: z.string(),
          port: z.string(),
        }),
      ),
    })
    .optional(),
  /** What the launcher started: nodes, and the servers of its ensemble. */
  processes: z.array(
    identitySchema.extend({ name: z.string(), kind: z.enum(['node', 'zookeeper']) }),
  ),
});

/** What is known about the data center that runs in a state folder. */
export type RunRecord = z.output<typeof runSchema>;
export type RecordedProcess = RunRecord['processes'][number];
export type RecordedNetwork = NonNullable<RunRecord['network']>;

/** `running`: its launcher lives. `stale`: it was killed, and left this file and maybe processes behind. */
export type RunState =
  { readonly state: 'none' } | { readonly state: 'running' | 'stale'; readonly record: RunRecord };

/** `run.json` in the state folder: one data center at a time. */
export class RunFile {
  readonly file: string;

  constructor(statePath: string) {
    this.file = path.join(statePath, 'run.json');
  }

  async read(): Promise<RunState> {
    const record = await this.#record();
    if (!record) return { state: 'none' };
    return { state: (await isRunning(record.launcher)) ? 'running' : 'stale', record };
  }

  /** Takes the folder; false if another record is there. */
  create(record: RunRecord): Promise<boolean> {
    return createFile(this.file, encode(record));
  }

  replace(record: RunRecord): Promise<void> {
    return replaceFile(this.file, encode(record));
  }

  remove(): Promise<void> {
    return removeIfThere(this.file);
  }

  async #record(): Promise<RunRecord | undefined> {
    const content = await readIfThere(this.file);
    if (content === undefined) return undefined;
    const parsed = runSchema.safeParse(parseJson(content));
    if (parsed.success) return parsed.data;
    // It was written by another version, or by hand: it says nothing that could be relied on.
    await this.remove();
    return undefined;
  }
}

function encode(record: RunRecord): string {
  return `${JSON.stringify(record, undefined, 2)}\n`;
}

function parseJson(content: string): unknown {
  try {
    return JSON.parse(content);
  } catch {
    return undefined;
  }
}
