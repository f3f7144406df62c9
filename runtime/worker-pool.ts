import { status } from '@grpc/grpc-js';
import type { Transferable } from 'node:worker_threads';

import { cancelled, deadlineExceeded, FractoryError, unavailable } from './errors.js';
import type { StartWorker, WorkerExit, WorkerHost } from './worker-host.js';
import { fromFailure } from './worker-tasks.js';
import type { WorkerMessage } from './worker-tasks.js';

export interface WorkerPoolOptions {
  /** For errors, such as `math`. */
  readonly name: string;
  readonly start: StartWorker;
  /** Most workers at a time; each starts at its first need. */
  readonly size: number;
  /** Most tasks that wait for a worker. */
  readonly maxQueued: number;
  /** A worker whose task is cancelled is ended (`kill`) or goes on to the end of the task (`finish`, for tasks that are short). */
  readonly onAbort: 'kill' | 'finish';
  /** Longest time from the start of a worker until it is ready, ms. Default 20,000. */
  readonly startTimeoutMs?: number;
}

export interface TaskOptions {
  /** For errors: `evaluation of 2^3`. */
  readonly what: string;
  /** Longest computing time, ms, without waiting; past it the worker is ended. */
  readonly timeoutMs: number;
  /** Name of the setting that `timeoutMs` came from, for the error. */
  readonly limit: string;
  readonly signal?: AbortSignal;
  /** Buffers that move to the worker; useless here afterwards. Threads only. */
  readonly transfer?: readonly Transferable[];
}

interface Job {
  readonly id: number;
  readonly task: unknown;
  readonly options: TaskOptions;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly unlisten: () => void;
}

interface Member {
  readonly host: WorkerHost;
  state: 'starting' | 'idle' | 'busy' | 'ending';
  job: Job | undefined;
  timer: NodeJS.Timeout | undefined;
}

const RETRY_AFTER_MS = 200;
const START_TIMEOUT_MS = 20_000;

/**
 * Tasks for a few workers. Workers start when there is something to do, and a worker that dies or takes too long costs its own task only.
 * Owns its workers; disposing ends them and fails what is under way.
 */
export class WorkerPool<Task, Result> {
  readonly #options: WorkerPoolOptions;
  readonly #members = new Set<Member>();
  readonly #queue: Job[] = [];
  #nextId = 1;
  #disposed = false;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
  }

  /** Tasks that wait, tasks that run, and workers alive. */
  get load(): { readonly queued: number; readonly running: number; readonly workers: number } {
    const running = [...this.#members].filter((member) => member.job).length;
    return { queued: this.#queue.length, running, workers: this.#members.size };
  }

  /** Computes one task, in the order of the calls as workers become free. */
  run(task: Task, options: TaskOptions): Promise<Result> {
    const { signal } = options;
    if (this.#disposed) return Promise.reject(this.#stopping());
    if (signal?.aborted) return Promise.reject(reasonOf(signal));
    if (this.#queue.length >= this.#options.maxQueued && !this.#hasRoom())
      return Promise.reject(this.#full());
    return new Promise<unknown>((resolve, reject) => {
      const onAbort = (): void => {
        this.#abort(job);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const unlisten = (): void => signal?.removeEventListener('abort', onAbort);
      const job: Job = { id: this.#nextId++, task, options, resolve, reject, unlisten };
      this.#queue.push(job);
      this.#pump();
    }) as Promise<Result>;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    for (const job of this.#queue.splice(0)) fail(job, this.#stopping());
    const members = [...this.#members];
    for (const member of members)
      this.#take(member, (job) => {
        fail(job, this.#stopping());
      });
    await Promise.all(members.map((member) => this.#end(member)));
  }

  #hasRoom(): boolean {
    const idle = [...this.#members].some((member) => member.state === 'idle');
    return idle || this.#members.size < this.#options.size;
  }

  /** Gives waiting tasks to idle workers and starts workers for the rest. */
  #pump(): void {
    for (const member of this.#members) {
      if (member.state !== 'idle') continue;
      const job = this.#queue.shift();
      if (!job) return;
      this.#dispatch(member, job);
    }
    let starting = [...this.#members].filter((member) => member.state === 'starting').length;
    while (starting < this.#queue.length && this.#members.size < this.#options.size) {
      this.#start();
      starting++;
    }
  }

  #start(): void {
    const host = this.#options.start({
      onMessage: (message) => {
        this.#onMessage(member, message as WorkerMessage);
      },
      onExit: (exit) => {
        this.#onExit(member, exit);
      },
    });
    const member: Member = { host, state: 'starting', job: undefined, timer: undefined };
    this.#members.add(member);
    member.timer = setTimeout(() => {
      this.#failNext(unavailable('WORKER_DIED', `a worker of ${this.#options.name} doesn't start`));
      void this.#end(member);
    }, this.#options.startTimeoutMs ?? START_TIMEOUT_MS);
  }

  #dispatch(member: Member, job: Job): void {
    const { what, timeoutMs, limit, transfer = [] } = job.options;
    member.state = 'busy';
    member.job = job;
    member.timer = setTimeout(() => {
      const error = deadlineExceeded(
        `${what} took longer than the limit ${limit} = ${String(timeoutMs)} ms`,
        { metadata: { limit, allowed: String(timeoutMs) } },
      );
      this.#take(member, () => {
        fail(job, error);
      });
      void this.#end(member);
    }, timeoutMs);
    member.host.post({ id: job.id, task: job.task }, transfer);
  }

  #onMessage(member: Member, message: WorkerMessage): void {
    if (member.state === 'ending') return;
    if (message.kind !== 'ready') {
      this.#take(member, (job) => {
        if (message.kind === 'failure') fail(job, fromFailure(message.failure));
        else succeed(job, message.result);
      });
    }
    clearTimeout(member.timer);
    member.state = 'idle';
    this.#pump();
  }

  #onExit(member: Member, exit: WorkerExit): void {
    clearTimeout(member.timer);
    this.#members.delete(member);
    const { name } = this.#options;
    if (member.state === 'starting')
      this.#failNext(
        unavailable('WORKER_DIED', `a worker of ${name} died at its start: ${exit.description}`),
      );
    this.#take(member, (job) => {
      const { what } = job.options;
      const error = exit.outOfMemory
        ? new FractoryError(
            status.RESOURCE_EXHAUSTED,
            'OUT_OF_MEMORY',
            `${what} needs more memory than a worker of ${name} may have`,
          )
        : unavailable('WORKER_DIED', `${what}: the worker died: ${exit.description}`);
      fail(job, error);
    });
    if (!this.#disposed) this.#pump();
  }

  #abort(job: Job): void {
    const error = reasonOf(job.options.signal);
    const at = this.#queue.indexOf(job);
    if (at >= 0) this.#queue.splice(at, 1);
    fail(job, error);
    if (this.#options.onAbort === 'finish') return;
    for (const member of this.#members) if (member.job === job) void this.#end(member);
  }

  /** A worker that can't start fails one task, so that a broken script can't loop for ever. */
  #failNext(error: FractoryError): void {
    const job = this.#queue.shift();
    if (job) fail(job, error);
  }

  /** Ends the member's job by `settle`; a second call does nothing. */
  #take(member: Member, settle: (job: Job) => void): void {
    const { job } = member;
    member.job = undefined;
    if (job) settle(job);
  }

  async #end(member: Member): Promise<void> {
    clearTimeout(member.timer);
    member.state = 'ending';
    await member.host.kill();
  }

  #stopping(): FractoryError {
    return unavailable('NODE_STOPPING', `${this.#options.name} is stopping`);
  }

  #full(): FractoryError {
    const { name, maxQueued } = this.#options;
    return new FractoryError(
      status.RESOURCE_EXHAUSTED,
      'QUEUE_FULL',
      `${name} has ${String(maxQueued)} tasks waiting, the limit max_queued is ${String(maxQueued)}`,
      {
        retryAfterMs: RETRY_AFTER_MS,
        metadata: { limit: 'max_queued', allowed: String(maxQueued) },
      },
    );
  }
}

function fail(job: Job, error: unknown): void {
  job.unlisten();
  job.reject(error);
}

function succeed(job: Job, result: unknown): void {
  job.unlisten();
  job.resolve(result);
}

function reasonOf(signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : cancelled();
}
