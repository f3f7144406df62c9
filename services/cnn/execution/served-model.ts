import { status } from '@grpc/grpc-js';

import { FractoryError, messageOf } from '../../../runtime/errors.js';
import type { Arrangement, LoadedModel, ModelSource, RunRequest, RunResult } from '../serving.js';
import { exampleOf } from './example.js';
import { NeverBegun } from './lane.js';
import type { Lane } from './lane.js';
import type { SessionSource } from './messages.js';

/** What a model needs of its executor. */
export interface Host {
  readonly lanes: readonly Lane[];
  /** Of all outputs of a request. */
  readonly maxOutputBytes: number;
  /** Workers, those with the fewest models first. */
  leastUsed(): number[];
  /** The worker has the model now. */
  offer(worker: number, model: ServedModel): void;
  withdraw(worker: number, model: ServedModel): void;
  check(model: ServedModel, deadlineMs: number): void;
  run(model: ServedModel, request: RunRequest): Promise<RunResult>;
  /** Called when its settings have changed. */
  rearranged(model: ServedModel): void;
  /** Resolves when nothing is under way. */
  drained(model: ServedModel): Promise<void>;
  forget(model: ServedModel): void;
  /** A worker could not load what another one had loaded. */
  degraded(model: ServedModel, worker: number, error: unknown): void;
}

/** A model in the sessions of some workers. */
export class ServedModel implements LoadedModel {
  readonly source: ModelSource;
  /** Unique among all that were ever loaded here. */
  readonly key: string;
  /** Workers that have or get it. */
  readonly workers = new Set<number>();
  arrangement: Arrangement;
  state: 'loading' | 'serving' | 'unloading' = 'loading';
  /** Name of its sessions in the workers: another one for another number of threads. */
  sessionKey: string;
  #generation = 1;
  /** About what one worker's session takes. */
  #sessionBytes = 0;
  #unloaded: Promise<void> | undefined;
  readonly #host: Host;

  constructor(key: string, source: ModelSource, arrangement: Arrangement, host: Host) {
    this.key = key;
    this.source = source;
    this.arrangement = arrangement;
    this.#host = host;
    this.sessionKey = `${key}.1`;
  }

  /** By the arrangement in force: another one takes another number of sessions. */
  get memoryBytes(): number {
    return this.#sessionBytes * this.arrangement.workers;
  }

  /** Resolves when the first worker has it; the others follow. */
  async start(): Promise<void> {
    const [first, ...others] = this.#host.leastUsed().slice(0, this.arrangement.workers);
    if (first === undefined) throw new Error('an executor has at least one worker');
    try {
      await this.#measuredLoad(first);
      await this.#checkBatches(first);
    } catch (error) {
      throw this.#corrupt(error);
    }
    this.state = 'serving';
    this.#host.offer(first, this);
    for (const worker of others) void this.join(worker);
  }

  check(deadlineMs: number): void {
    this.#host.check(this, deadlineMs);
  }

  run(request: RunRequest): Promise<RunResult> {
    return this.#host.run(this, request);
  }

  unload(): Promise<void> {
    return (this.#unloaded ??= this.#unload());
  }

  /** Loads the model into a worker, again where it was restarted. Never throws: a worker that can't have it doesn't serve it. */
  async join(worker: number): Promise<void> {
    this.workers.add(worker);
    const { sessionKey } = this;
    try {
      await this.#load(worker, sessionKey, this.arrangement.threads);
      if (this.state !== 'unloading' && sessionKey === this.sessionKey && this.workers.has(worker))
        this.#host.offer(worker, this);
      else await this.#drop(worker, sessionKey);
    } catch (error) {
      // A thread that died is started again, and the model loaded again.
      if (isThreadsFault(error)) return;
      this.workers.delete(worker);
      this.#host.degraded(this, worker, error);
    }
  }

  /** Goes over to another arrangement while it serves: what is under way ends in the old sessions. */
  async rearrange(arrangement: Arrangement): Promise<void> {
    const old = { key: this.sessionKey, threads: this.arrangement.threads };
    if (arrangement.threads === old.threads) {
      this.arrangement = arrangement;
      this.#host.rearranged(this);
      await this.#spread(arrangement.workers);
      return;
    }
    const workers = this.#preferred(arrangement.workers);
    const sessionKey = `${this.key}.${String(++this.#generation)}`;
    try {
      await Promise.all(
        workers.map((worker) => this.#load(worker, sessionKey, arrangement.threads)),
      );
    } catch (error) {
      await Promise.all(workers.map((worker) => this.#drop(worker, sessionKey)));
      throw error;
    }
    const before = [...this.workers];
    this.sessionKey = sessionKey;
    this.arrangement = arrangement;
    for (const worker of before) this.#host.withdraw(worker, this);
    this.workers.clear();
    this.#host.rearranged(this);
    for (const worker of workers) {
      this.workers.add(worker);
      this.#host.offer(worker, this);
    }
    await Promise.all(before.map((worker) => this.#drop(worker, old.key)));
  }

  /** Source of a session with so many threads. */
  session(threads: number): SessionSource {
    const { file, sha256, signature, extraOutput } = this.source;
    const { tensors, mustRun } = exampleOf(this.source);
    const outputs = signature.outputs.map(({ name }) => name);
    return {
      ...{ file, sha256, threads, inputs: signature.inputs },
      outputs: extraOutput ? [...new Set([...outputs, extraOutput.name])] : outputs,
      extraOutput:
        extraOutput && !outputs.includes(extraOutput.name) ? extraOutput.name : undefined,
      ...{ example: tensors, exampleMustRun: mustRun },
      maxOutputBytes: this.#host.maxOutputBytes,
    };
  }

  async #measuredLoad(worker: number): Promise<void> {
    this.workers.add(worker);
    const loaded = await this.#load(worker, this.sessionKey, this.arrangement.threads);
    // What the process grew by is an estimate that other work disturbs, so it only counts within reason.
    this.#sessionBytes = Math.min(
      Math.max(loaded.fileBytes, loaded.residentBytes),
      4 * loaded.fileBytes + 64 * 1024 ** 2,
    );
  }

  async #load(worker: number, model: string, threads: number) {
    const lane = this.#laneOf(worker);
    return lane.perform<'load'>({ kind: 'load', model, source: this.session(threads) });
  }

  async #drop(worker: number, model: string): Promise<void> {
    // A worker that died meanwhile has freed it already.
    await this.#laneOf(worker)
      .perform<'unload'>({ kind: 'unload', model })
      .catch(() => undefined);
  }

  /** A batch that somebody asked for is refused where its requests would influence each other. */
  async #checkBatches(worker: number): Promise<void> {
    const { maxBatch, reason } = this.arrangement;
    if (maxBatch === 1) return;
    const { same } = await this.#laneOf(worker).perform<'compare'>({
      ...{ kind: 'compare', model: this.sessionKey, batch: Math.min(maxBatch, 3) },
    });
    if (!same)
      this.arrangement = {
        ...this.arrangement,
        maxBatch: 1,
        reason: `${reason}; requests of a batch would influence each other, so they run one by one`,
      };
  }

  /** Serves in so many workers. */
  async #spread(count: number): Promise<void> {
    const wanted = this.#preferred(count);
    for (const worker of [...this.workers])
      if (!wanted.includes(worker)) {
        this.workers.delete(worker);
        this.#host.withdraw(worker, this);
        void this.#drop(worker, this.sessionKey);
      }
    await Promise.all(
      wanted.filter((worker) => !this.workers.has(worker)).map((worker) => this.join(worker)),
    );
  }

  /** The workers that have it come first. */
  #preferred(count: number): number[] {
    const others = this.#host.leastUsed().filter((worker) => !this.workers.has(worker));
    return [...this.workers, ...others].slice(0, count);
  }

  async #unload(): Promise<void> {
    this.state = 'unloading';
    await this.#host.drained(this);
    const workers = [...this.workers];
    this.workers.clear();
    this.#host.forget(this);
    await Promise.all(workers.map((worker) => this.#drop(worker, this.sessionKey)));
  }

  #laneOf(worker: number): Lane {
    const lane = this.#host.lanes[worker];
    if (!lane) throw new Error(`there is no worker ${String(worker)}`);
    return lane;
  }

  #corrupt(error: unknown): unknown {
    // The thread died, the node stops: that says nothing about the model.
    if (isThreadsFault(error)) return error;
    const { name, version } = this.source;
    const [line = ''] = messageOf(error)
      .replace(/^worker failed: (Error: )?/, '')
      .split('\n');
    return new FractoryError(
      status.FAILED_PRECONDITION,
      'MODEL_CORRUPT',
      `model ${name} version ${String(version)} can't be used: ${line}`,
      { cause: error },
    );
  }
}

function isThreadsFault(error: unknown): boolean {
  return (
    error instanceof NeverBegun ||
    (error instanceof FractoryError && error.code === status.UNAVAILABLE)
  );
}
