import { watch } from 'node:fs';
import { open, readdir, rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';

import { systemCodeOf } from '../runtime/errors.js';
import { makeFolder } from '../runtime/made-folder.js';
import { readIfThere, replaceFile } from './atomic-file.js';

/** A log longer than this is put aside at the next start, bytes. */
const MAX_LOG_BYTES = 16 * 1024 ** 2;
/** The end of a log that `lastLines` looks at, bytes. */
const TAIL_BYTES = 256 * 1024;
const EXTENSION = '.log';
/** Where the file system tells nothing, look this often, ms. */
const LOOK_MS = 500;

/** By member: which file its log was, and how long, bytes. */
const marksSchema = z.record(z.string(), z.object({ ino: z.number(), size: z.number() }));

/** The log files of a data center: one per member, in one folder. */
export class LogFiles {
  readonly folder: string;

  constructor(statePath: string) {
    this.folder = path.join(statePath, 'logs');
  }

  fileOf(member: string): string {
    return path.join(this.folder, member + EXTENSION);
  }

  /** Members that have a log, and the launcher; the servers of ZooKeeper, which say much, stand apart. */
  async members(): Promise<string[]> {
    return (await this.all()).filter((name) => !name.startsWith('zookeeper-'));
  }

  async all(): Promise<string[]> {
    const names = await readdir(this.folder).catch((error: unknown) => {
      if (systemCodeOf(error) === 'ENOENT') return [];
      throw error;
    });
    return names
      .filter((name) => name.endsWith(EXTENSION))
      .map((name) => name.slice(0, -EXTENSION.length))
      .sort();
  }

  /** Makes the folder, and puts a log that grew long aside as `.log.1`. */
  async prepare(member: string): Promise<string> {
    await makeFolder(this.folder);
    const file = this.fileOf(member);
    if ((await sizeOf(file)) > MAX_LOG_BYTES) await rename(file, `${file}.1`);
    return file;
  }

  /** Notes where each log ends: what is appended from now on belongs to the data center that starts. */
  async markStart(): Promise<void> {
    const ends = await Promise.all(
      (await this.all()).map(async (name) => {
        const { ino, size } = await stat(this.fileOf(name));
        return [name, { ino, size }] as const;
      }),
    );
    await replaceFile(this.#marks, JSON.stringify(Object.fromEntries(ends)));
  }

  /** `earlier`: also lines from before the last `markStart`. */
  async lastLines(
    member: string,
    count: number,
    options: { readonly earlier?: boolean } = {},
  ): Promise<string[]> {
    const file = this.fileOf(member);
    const size = await sizeOf(file);
    const from = options.earlier || size === 0 ? 0 : await this.#startOf(member);
    if (size <= from) return [];
    const start = Math.max(from, size - TAIL_BYTES);
    const lines = (await readRange(file, start, size)).split('\n');
    if (start > from) lines.shift();
    return lines.filter((line) => line !== '').slice(-count);
  }

  get #marks(): string {
    return path.join(this.folder, 'starts.json');
  }

  /** Where the lines of the last data center begin; a log that was put aside since then has none of another. */
  async #startOf(member: string): Promise<number> {
    const content = await readIfThere(this.#marks);
    if (content === undefined) return 0;
    const mark = marksSchema.safeParse(JSON.parse(content)).data?.[member];
    if (!mark) return 0;
    const { ino, size } = await stat(this.fileOf(member));
    return ino === mark.ino && size >= mark.size ? mark.size : 0;
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return 0;
    throw error;
  }
}

async function readRange(file: string, start: number, end: number): Promise<string> {
  const handle = await open(file);
  try {
    const buffer = Buffer.alloc(end - start);
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, start);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** Hears lines as they are appended to the logs of a folder, also to logs that don't exist yet. */
export class LogFollower {
  readonly #logs: LogFiles;
  readonly #listener: (member: string, line: string) => void;
  readonly #only: ReadonlySet<string> | undefined;
  readonly #places = new Map<string, { offset: number; rest: string }>();
  readonly #stopped = new AbortController();
  #looking: Promise<void> | undefined;
  #again = false;

  /** `only`: the members whose logs are followed; default all. */
  constructor(
    logs: LogFiles,
    listener: (member: string, line: string) => void,
    only?: readonly string[],
  ) {
    this.#logs = logs;
    this.#listener = listener;
    this.#only = only && new Set(only);
  }

  /** Follows from the present end of each log. */
  async start(): Promise<void> {
    await makeFolder(this.#logs.folder);
    for (const member of await this.#members())
      this.#places.set(member, { offset: await sizeOf(this.#logs.fileOf(member)), rest: '' });
    const { signal } = this.#stopped;
    const look = (): void => {
      this.#look();
    };
    watch(this.#logs.folder, { signal }, look).on('error', look);
    const timer = setInterval(look, LOOK_MS);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
    });
  }

  /** Delivers what is there already, then ends. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#looking;
    await this.#lookOnce();
  }

  #look(): void {
    if (this.#stopped.signal.aborted) return;
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = this.#lookOnce()
      .catch((error: unknown) => {
        this.#listener('launcher', `the logs can't be followed: ${String(error)}`);
      })
      .finally(() => {
        this.#looking = undefined;
        if (!this.#again) return;
        this.#again = false;
        this.#look();
      });
  }

  async #lookOnce(): Promise<void> {
    for (const member of await this.#members()) await this.#deliver(member);
  }

  async #members(): Promise<string[]> {
    if (!this.#only) return this.#logs.members();
    return (await this.#logs.all()).filter((member) => this.#only?.has(member));
  }

  async #deliver(member: string): Promise<void> {
    const place = this.#places.get(member) ?? { offset: 0, rest: '' };
    this.#places.set(member, place);
    const file = this.#logs.fileOf(member);
    const size = await sizeOf(file);
    if (size < place.offset) place.offset = 0;
    while (place.offset < size) {
      const end = Math.min(size, place.offset + TAIL_BYTES);
      const lines = (place.rest + (await readRange(file, place.offset, end))).split('\n');
      place.offset = end;
      place.rest = lines.pop() ?? '';
      for (const line of lines) this.#listener(member, line);
    }
  }
}
