import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import type { WriteStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

import { status } from '@grpc/grpc-js';

import { FractoryError, messageOf, systemCodeOf } from '../../runtime/errors.js';
import { makeFolder } from '../../runtime/made-folder.js';
import { closest } from '../../runtime/suggestion.js';
import { eventSchema } from './events.js';
import type { Began, ChaosEvent } from './events.js';

const SUFFIX = '.jsonl';

/** Where the experiments of a data center are kept. */
function chaosFolder(statePath: string): string {
  return path.join(statePath, 'chaos');
}

/** Sorts by time; short enough to begin the ids of runs. */
export function experimentName(what: string, now: Date): string {
  const stamp = now
    .toISOString()
    .replace(/\.\d+Z$/, '')
    .replaceAll(/[-:]/g, '');
  return `${stamp}-${what}`;
}

type Timeless<E> = E extends ChaosEvent ? Omit<E, 'atMs'> & { readonly atMs?: number } : never;
/** An event whose time is now unless it says otherwise. */
export type Happening = Timeless<Exclude<ChaosEvent, Began>>;

/** One experiment under way: what happened so far, in memory and in its file. */
export class Experiment implements AsyncDisposable {
  readonly name: string;
  readonly file: string;
  readonly #startMs = performance.now();
  readonly #stream: WriteStream;
  readonly #events: ChaosEvent[] = [];
  readonly #listeners = new Set<(event: ChaosEvent) => void>();
  #problem: Error | undefined;

  private constructor(began: Began, file: string) {
    this.name = began.experiment;
    this.file = file;
    this.#stream = createWriteStream(file, { flags: 'wx', mode: 0o600 });
    this.#stream.on('error', (error) => {
      this.#problem ??= error;
    });
    this.#keep(began);
  }

  static async begin(statePath: string, began: Began): Promise<Experiment> {
    const folder = chaosFolder(statePath);
    await makeFolder(folder);
    const experiment = new Experiment(began, path.join(folder, `${began.experiment}${SUFFIX}`));
    await once(experiment.#stream, 'open');
    return experiment;
  }

  /** ms since it began. */
  now(): number {
    return performance.now() - this.#startMs;
  }

  get events(): readonly ChaosEvent[] {
    return this.#events;
  }

  record(happening: Happening): void {
    const atMs = Math.round(10 * (happening.atMs ?? this.now())) / 10;
    const event = { ...happening, atMs } as ChaosEvent;
    this.#keep(event);
    for (const listener of [...this.#listeners]) listener(event);
  }

  /** Hears each event that comes. */
  onEvent(listener: (event: ChaosEvent) => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves true when `holds` does, which is looked at after each event; false after `timeoutMs`, or at an abort. */
  until(holds: () => boolean, timeoutMs: number, signal?: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (outcome: boolean): void => {
        this.#listeners.delete(look);
        clearTimeout(timer);
        signal?.removeEventListener('abort', stop);
        resolve(outcome);
      };
      const look = (): void => {
        if (holds()) settle(true);
      };
      const stop = (): void => {
        settle(holds());
      };
      const timer = setTimeout(stop, timeoutMs);
      if (signal?.aborted) {
        stop();
        return;
      }
      signal?.addEventListener('abort', stop, { once: true });
      this.#listeners.add(look);
      look();
    });
  }

  /** Resolves when all is in the file; throws if it couldn't be written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#stream.once('close', resolve);
      if (this.#stream.closed) resolve();
      else this.#stream.end();
    });
    if (this.#problem)
      throw new FractoryError(
        status.RESOURCE_EXHAUSTED,
        'EXPERIMENT_UNWRITTEN',
        `the experiment ${this.file} can't be written: ${this.#problem.message}`,
        { cause: this.#problem },
      );
  }

  #keep(event: ChaosEvent): void {
    this.#events.push(event);
    if (!this.#problem) this.#stream.write(`${JSON.stringify(event)}\n`);
  }
}

/** Names of the experiments that are kept, the newest last. */
export async function experimentNames(statePath: string): Promise<string[]> {
  try {
    const files = await readdir(chaosFolder(statePath));
    return files
      .filter((file) => file.endsWith(SUFFIX))
      .map((file) => file.slice(0, -SUFFIX.length))
      .sort();
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The events of an experiment; without a name, of the newest. NOT_FOUND if there is none. */
export async function readExperiment(statePath: string, name?: string): Promise<ChaosEvent[]> {
  const names = await experimentNames(statePath);
  const chosen = name ?? names.at(-1);
  if (chosen === undefined)
    throw notFound(
      `there is no experiment in ${chaosFolder(statePath)}; ./datacenter chaos makes one`,
    );
  if (!names.includes(chosen)) {
    const near = closest(chosen, names);
    const hint =
      near === undefined ? `the newest is ${names.at(-1) ?? 'none'}` : `did you mean ${near}?`;
    throw notFound(`there is no experiment ${chosen} (${hint})`);
  }
  const file = path.join(chaosFolder(statePath), `${chosen}${SUFFIX}`);
  return eventsOf(await readFile(file, 'utf8'), file);
}

/** A last line that was cut short by a kill is left out; any other that can't be read is an error. */
export function eventsOf(content: string, file: string): ChaosEvent[] {
  const lines = content.split('\n').slice(0, -1);
  return lines.map((line, index) => {
    try {
      return eventSchema.parse(JSON.parse(line));
    } catch (error) {
      throw new FractoryError(
        status.DATA_LOSS,
        'EXPERIMENT_DAMAGED',
        `line ${String(index + 1)} of ${file} is no event: ${messageOf(error).split('\n', 1)[0] ?? ''}`,
        { cause: error },
      );
    }
  });
}

function notFound(message: string): FractoryError {
  return new FractoryError(status.NOT_FOUND, 'EXPERIMENT_NOT_FOUND', message);
}
