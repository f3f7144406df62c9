import { deadlineExceeded, unavailable } from '../../../runtime/errors.js';
import type { StartWorker, WorkerHost } from '../../../runtime/worker-host.js';
import { fromFailure } from '../../../runtime/worker-tasks.js';
import type { WorkerFailure } from '../../../runtime/worker-tasks.js';
import type { TaskReplies, WorkerTask } from './messages.js';

/** Longest time until a thread has started or a task that is no run has ended, ms. */
const OTHER_TASK_MS = 300_000;

type Message =
  { readonly ready: true } | { readonly reply: unknown } | { readonly failure: WorkerFailure };

interface Pending {
  readonly task: WorkerTask;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export interface LaneOptions {
  readonly start: StartWorker;
  /** Longest time of one run, ms; past it the thread is ended. */
  readonly maxComputeMs: number;
  /** The thread is gone; `runBegun`: it was working at a run. Comes before its tasks fail. */
  readonly onExit: (runBegun: boolean) => void;
}

/** A task that the thread had not begun when it died. */
export class NeverBegun extends Error {}

/** One worker thread: it does what it is given one after the other. Starts with its first task, and again after it died. */
export class Lane {
  readonly #options: LaneOptions;
  #host: WorkerHost | undefined;
  /** The first one is what the thread works at. */
  #pending: Pending[] = [];
  /** When the thread began with the first one. */
  #begunMs = 0;
  /** One for many tasks: it looks at the first when it fires. */
  #timer: NodeJS.Timeout | undefined;
  /** Counts threads: what one was told, the next one doesn't know. */
  #generation = 0;
  /** Threads that were told to end and compute still: by host, what to call when they are gone. */
  readonly #ending = new Map<WorkerHost, () => void>();
  /** No thread starts any more. */
  #ended: Error | undefined;

  constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Sends a task. Throws what the task throws, WORKER_DIED, or DEADLINE_EXCEEDED past `max_compute_ms`. */
  perform<Kind extends WorkerTask['kind']>(
    task: Extract<WorkerTask, { kind: Kind }>,
  ): Promise<TaskReplies[Kind]> {
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise<unknown>((resolve, reject) => {
      this.#host ??= this.#start();
      this.#pending.push({ task, resolve, reject });
      this.#host.post(task, []);
      if (this.#pending.length === 1) this.#watch();
    }) as Promise<TaskReplies[Kind]>;
  }

  /** Ends the thread; what it was given fails with this error. Resolves when it is gone, or computes still after `max_compute_ms`. */
  async end(error: Error): Promise<void> {
    this.#ended ??= error;
    this.#abandon(error);
    await this.#gone(0);
  }

  /** Resolves when a new thread may be started: a lane has one at most that can't be stopped from computing. */
  async ready(): Promise<void> {
    await this.#gone(1);
  }

  /** Of the thread that the next task goes to. */
  get generation(): number {
    this.#host ??= this.#start();
    return this.#generation;
  }

  #start(): WorkerHost {
    this.#generation++;
    const host = this.#options.start({
      onMessage: (message) => {
        if (this.#host === host) this.#onMessage(message as Message);
      },
      onExit: ({ description }) => {
        this.#ending.get(host)?.();
        this.#ending.delete(host);
        if (this.#host === host)
          this.#fail(unavailable('WORKER_DIED', `the worker thread died: ${description}`));
      },
    });
    return host;
  }

  #onMessage(message: Message): void {
    if ('ready' in message) return;
    const pending = this.#pending.shift();
    this.#watch();
    if ('failure' in message) pending?.reject(fromFailure(message.failure));
    else pending?.resolve(message.reply);
  }

  /** The time of the first task begins now. */
  #watch(): void {
    this.#begunMs = performance.now();
    if (!this.#timer) this.#arm(this.#options.maxComputeMs);
  }

  #arm(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#check();
    }, delayMs).unref();
  }

  #check(): void {
    const [first] = this.#pending;
    if (!first) return;
    const { maxComputeMs } = this.#options;
    const limitMs = first.task.kind === 'run' ? maxComputeMs : OTHER_TASK_MS;
    const leftMs = this.#begunMs + limitMs - performance.now();
    if (leftMs <= 0) {
      this.#abandon(
        deadlineExceeded(
          `the ${first.task.kind} took longer than ${String(limitMs)} ms, the limit max_compute_ms is ${String(maxComputeMs)}`,
          { metadata: { limit: 'max_compute_ms', allowed: String(maxComputeMs) } },
        ),
      );
      return;
    }
    // What comes after it may have less time.
    this.#arm(Math.min(leftMs, maxComputeMs));
  }

  /**
   * Its tasks fail now; the thread ends when its run is over. To terminate a thread within native code takes the whole process along: the library
   * finds its JavaScript gone and throws where nobody catches.
   */
  #abandon(error: Error): void {
    const host = this.#host;
    if (!host) return;
    this.#ending.set(host, () => undefined);
    host.post({ kind: 'end' } satisfies WorkerTask, []);
    this.#fail(error);
  }

  /** Waits until so many of the threads that are ending are left, but no longer than a run may take. */
  async #gone(left: number): Promise<void> {
    const deadline = performance.now() + this.#options.maxComputeMs;
    while (this.#ending.size > left) {
      const waitMs = deadline - performance.now();
      if (waitMs <= 0) return;
      await this.#nextGone(waitMs);
    }
  }

  #nextGone(timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      for (const [host, before] of this.#ending)
        this.#ending.set(host, () => {
          before();
          clearTimeout(timer);
          resolve();
        });
    });
  }

  #fail(error: Error): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#host = undefined;
    const [first, ...others] = this.#pending;
    this.#pending = [];
    this.#options.onExit(first?.task.kind === 'run');
    first?.reject(error);
    for (const { reject } of others) reject(new NeverBegun(error.message));
  }
}
