import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import { sleep } from '../../runtime/deadline.js';
import type { Experiment } from './experiment.js';
import type { StoredFiles } from './stored-files.js';
import { sha256Of } from './verdict.js';

/** The file that a run had to write. */
export interface Output {
  readonly run: string;
  readonly name: string;
  readonly expectedSha256: string;
  /** What the client of the run heard. */
  readonly was: 'succeeded' | 'failed';
}

interface Waiting extends Output {
  readonly dueMs: number;
}

/** Time for a late second write to show itself, ms. */
const SETTLING_MS = 5000;
const PAUSE_MS = 100;
/** Files that are looked at at a time. */
const PARALLEL = 4;

/**
 * Looks at what runs have left in storage: the file of a run that succeeded is there, was written once and is right; that of one that failed is so or isn't there.
 * Files that were looked at are deleted: what is there at the end was written behind the run's end.
 */
export class OutputCheck {
  readonly #experiment: Experiment;
  readonly #files: Pick<StoredFiles, 'get' | 'delete' | 'list'>;
  readonly #waiting: Waiting[] = [];
  /** Names whose run did not succeed: what they write late is no fault, or was told already. */
  readonly #others = new Set<string>();
  readonly #keeps: boolean;
  #finishing = false;

  /** @param options `keeps`: storage may still be broken at the end; then what can't be read is not lost */
  constructor(
    experiment: Experiment,
    files: Pick<StoredFiles, 'get' | 'delete' | 'list'>,
    options: { readonly keeps: boolean },
  ) {
    this.#experiment = experiment;
    this.#files = files;
    this.#keeps = options.keeps;
  }

  add(output: Output): void {
    if (output.was === 'failed') this.#others.add(output.name);
    this.#waiting.push({ ...output, dueMs: performance.now() + SETTLING_MS });
  }

  /** A run whose file needs no look: what is wrong with it was told. */
  ignore(name: string): void {
    this.#others.add(name);
  }

  /** Looks at what is due until `finish` was called and nothing waits any more. */
  async work(signal: AbortSignal): Promise<void> {
    await Promise.all(Array.from({ length: PARALLEL }, () => this.#work(signal)));
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const [next] = this.#waiting;
      if (next && (this.#finishing || next.dueMs <= performance.now())) {
        this.#waiting.shift();
        await this.#look(next, signal);
      } else if (this.#finishing) return;
      else await sleep(PAUSE_MS, signal);
    }
  }

  finish(): void {
    this.#finishing = true;
  }

  /** To be called when all runs have ended and `work` is over: whatever is there still was written behind our back. */
  async leftovers(prefix: string, signal: AbortSignal): Promise<void> {
    const files = await this.#files.list(prefix, signal);
    for (const { name } of files) {
      if (!this.#others.has(name)) {
        const detail = `${name} was written again after it had been deleted`;
        const facts = { run: name, was: 'succeeded', outcome: 'doubled', detail } as const;
        this.#experiment.record({ event: 'found', ...facts });
      }
      await this.#files.delete(name, signal);
    }
  }

  async #look(output: Output, signal: AbortSignal): Promise<void> {
    const { run, name, was } = output;
    try {
      const found = await this.#files.get(name, signal);
      const problem = problemOf(output, found);
      if (problem) this.#experiment.record({ event: 'found', run, was, ...problem });
      if (found) await this.#files.delete(name, signal);
    } catch (error) {
      if (!(error instanceof FractoryError) || signal.aborted) throw error;
      const detail = `${name} can't be read: ${error.message}`;
      if (this.#keeps && error.code !== status.DATA_LOSS)
        this.#experiment.record({ event: 'note', text: detail });
      else if (was === 'succeeded')
        this.#experiment.record({ event: 'found', run, was, outcome: 'lost', detail });
    }
  }
}

function problemOf(
  { name, was, expectedSha256 }: Output,
  found: { readonly file: { readonly version: bigint }; readonly content: Buffer } | undefined,
): { readonly outcome: 'lost' | 'doubled' | 'wrong'; readonly detail: string } | undefined {
  if (!found) {
    if (was === 'failed') return undefined;
    return { outcome: 'lost', detail: `${name} is not there` };
  }
  const { version } = found.file;
  if (version !== 1n)
    return { outcome: 'doubled', detail: `${name} has version ${String(version)}` };
  if (sha256Of(found.content) === expectedSha256) return undefined;
  return { outcome: 'wrong', detail: `${name} has other content` };
}
