import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';

import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../../runtime/errors.js';
import type {
  LoadedModel,
  ModelCounts,
  ModelExecutor,
  ModelSource,
  RunRequest,
  RunResult,
} from '../../../services/cnn/serving.js';

/**
 * A `ModelExecutor` in memory that computes nothing: every output that is asked for is the hash of the model's file, so a test sees which bytes answered. Files whose text
 * contains `unsupported` fail to load. `held` keeps runs or loads waiting until the test lets them go.
 */
export class TwinExecutor implements ModelExecutor {
  /** Everything that was loaded and not unloaded yet. */
  readonly models = new Set<LoadedModel>();
  /** What happened, in order: `load name/version`, `unload name/version`. */
  readonly events: string[] = [];
  /** What each model takes, bytes; undefined = as much as its file. */
  memoryBytes: number | undefined;
  readonly #gates = { load: new Gate(), run: new Gate() };

  /** Runs or loads wait from now on, until `release`. */
  hold(what: 'load' | 'run'): void {
    this.#gates[what].close();
  }

  release(what: 'load' | 'run'): void {
    this.#gates[what].open();
  }

  /** Resolves when so many runs or loads wait. */
  waiting(what: 'load' | 'run', count = 1): Promise<void> {
    return this.#gates[what].waitingFor(count);
  }

  async load(source: ModelSource): Promise<LoadedModel> {
    const key = `${source.name}/${String(source.version)}`;
    const bytes = await readFile(source.file);
    this.events.push(`load ${key}`);
    await this.#gates.load.pass();
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (sha256 !== source.sha256) throw corrupt(source, `model.onnx has the SHA-256 ${sha256}`);
    if (bytes.includes('unsupported')) throw corrupt(source, 'Sine(99) is no known operator');
    const model: LoadedModel = {
      source,
      arrangement: { workers: 1, threads: 1, maxBatch: 1, maxDelayMs: 0, reason: 'a twin' },
      memoryBytes: this.memoryBytes ?? bytes.length,
      check: () => undefined,
      run: (request) => this.#run(model, request),
      unload: () => {
        if (this.models.delete(model)) this.events.push(`unload ${key}`);
        return Promise.resolve();
      },
    };
    this.models.add(model);
    return model;
  }

  counts(): ModelCounts {
    const zero = { requests: 0, failures: 0, runs: 0, queueUs: 0, decodeUs: 0, computeUs: 0 };
    return { ...zero, outputUs: 0, underWay: 0, lastUsedMs: 0, batches: new Map() };
  }

  decoded(): void {
    // Nobody asks.
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  async #run(model: LoadedModel, { outputs }: RunRequest): Promise<RunResult> {
    if (!this.models.has(model)) throw new Error('it is not loaded any more');
    await this.#gates.run.pass();
    if (!this.models.has(model)) throw new Error('it was unloaded while it ran');
    const data = Buffer.from(model.source.sha256, 'hex');
    return {
      outputs: outputs.map((name) => ({ name, datatype: 'UINT8', shape: [1, 32], data })),
      times: { queueUs: 0, computeUs: 1, outputUs: 0, batch: 1 },
    };
  }
}

function corrupt({ name, version }: ModelSource, problem: string): FractoryError {
  return new FractoryError(
    status.FAILED_PRECONDITION,
    'MODEL_CORRUPT',
    `model ${name} version ${String(version)} can't be used: ${problem}`,
  );
}

class Gate {
  readonly #events = new EventEmitter();
  #isClosed = false;
  #waiting = 0;

  close(): void {
    this.#isClosed = true;
  }

  open(): void {
    this.#isClosed = false;
    this.#waiting = 0;
    this.#events.emit('open');
  }

  async pass(): Promise<void> {
    if (!this.#isClosed) return;
    const opened = once(this.#events, 'open');
    this.#waiting++;
    this.#events.emit('waiting');
    await opened;
  }

  async waitingFor(count: number): Promise<void> {
    while (this.#waiting < count) await once(this.#events, 'waiting');
  }
}
