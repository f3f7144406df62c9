import { FractoryError } from '../../runtime/errors.js';
import type { Experiment } from './experiment.js';
import type { OutputCheck } from './output-check.js';
import type { RunClient } from './run-client.js';
import { judge } from './verdict.js';
import type { Workload } from './workloads.js';

/** A workload whose answers are known. */
export interface Prepared {
  readonly workload: Workload;
  /** Hex, by variant: what its runs have to write. */
  readonly expectedSha256: readonly string[];
}

export interface LoadOptions {
  readonly prepared: readonly Prepared[];
  readonly ratePerSecond: number;
  /** Longest time of each run, ms. */
  readonly budgetMs: number;
  /** Whether a disk was full at some time since then (ms of the experiment). */
  readonly diskFullSince: (atMs: number) => boolean;
  readonly signal: AbortSignal;
}

/** Runs under way at a time; beyond, none is begun: the data center is behind. */
const MOST_UNDER_WAY = 256;

/** A stream of runs at a steady rate, whatever becomes of them: kinds in turn, every second one durable. */
export class Load {
  readonly #experiment: Experiment;
  readonly #client: RunClient;
  readonly #outputs: OutputCheck;
  readonly #options: LoadOptions;
  readonly #underWay = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #number = 0;

  constructor(
    experiment: Experiment,
    parts: { readonly client: RunClient; readonly outputs: OutputCheck },
    options: LoadOptions,
  ) {
    this.#experiment = experiment;
    this.#client = parts.client;
    this.#outputs = parts.outputs;
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      if (this.#underWay.size >= MOST_UNDER_WAY) return;
      const run = this.#run(this.#number++).finally(() => this.#underWay.delete(run));
      this.#underWay.add(run);
    }, 1000 / this.#options.ratePerSecond);
  }

  /** No run is begun any more; resolves when those under way have ended. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#underWay);
  }

  async #run(number: number): Promise<void> {
    const { prepared, budgetMs, signal, diskFullSince } = this.#options;
    const chosen = prepared[number % prepared.length];
    if (!chosen) return;
    const { workload, expectedSha256 } = chosen;
    const turn = Math.floor(number / prepared.length);
    const variant = turn % expectedSha256.length;
    const id = `${this.#experiment.name}.${String(number)}`;
    const durable = turn % 2 === 1;
    const atMs = this.#experiment.now();
    try {
      const graph = workload.graph(variant, id);
      const heard = await this.#client.run({ id, graph, durable, budgetMs }, signal);
      const endMs = this.#experiment.now();
      const expected = expectedSha256[variant] ?? '';
      const verdict = judge(heard, {
        ...{ expectedSha256: expected, budgetMs, tookMs: endMs - atMs },
        diskFull: diskFullSince(atMs),
      });
      const { kind } = workload;
      const { sends } = heard;
      this.#experiment.record({
        ...{ event: 'run', atMs, endMs: Math.round(10 * endMs) / 10 },
        ...{ run: id, kind, durable, sends, ...verdict },
      });
      const { outcome } = verdict;
      if (outcome === 'succeeded' || outcome === 'failed')
        this.#outputs.add({ run: id, name: id, expectedSha256: expected, was: outcome });
      else this.#outputs.ignore(id);
    } catch (error) {
      // Interrupted: nobody wants to know any more.
      if (!signal.aborted || !(error instanceof FractoryError || error === signal.reason))
        throw error;
    }
  }
}
