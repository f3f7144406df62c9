import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { ResourceLimits, Transferable } from 'node:worker_threads';

/** Why a worker ended. */
export interface WorkerExit {
  readonly outOfMemory: boolean;
  /** For logs and errors, such as `exit code 1`. */
  readonly description: string;
}

/** What a worker tells; `onExit` comes once and last. */
export interface WorkerListener {
  onMessage(message: unknown): void;
  onExit(exit: WorkerExit): void;
}

/** A thread or process that computes. `kill` resolves when it is gone. */
export interface WorkerHost {
  post(message: unknown, transfer: readonly Transferable[]): void;
  kill(): Promise<void>;
}

/** Starts a worker; its script calls `serveTasks`. */
export type StartWorker = (listener: WorkerListener) => WorkerHost;

/**
 * Workers as threads: cheap, buffers can be moved to them. A thread that allocates too much in one piece takes the whole process with it
 * (V8 aborts, whatever `resourceLimits` say), so code of strangers belongs into `processWorkers`.
 */
export function threadWorkers(
  script: URL,
  options: { readonly data?: unknown; readonly resourceLimits?: ResourceLimits } = {},
): StartWorker {
  return (listener) => {
    const { data, resourceLimits } = options;
    const worker = new Worker(script, {
      workerData: data,
      ...(resourceLimits ? { resourceLimits } : {}),
    });
    let failure: NodeJS.ErrnoException | undefined;
    const gone = new Promise<void>((resolve) => {
      worker.on('exit', (code) => {
        resolve();
        listener.onExit({
          outOfMemory: failure?.code === 'ERR_WORKER_OUT_OF_MEMORY',
          description: failure?.message ?? `exit code ${String(code)}`,
        });
      });
    });
    worker.on('error', (error) => {
      failure = error;
    });
    worker.on('message', (message) => {
      listener.onMessage(message);
    });
    return {
      post(message, transfer) {
        worker.postMessage(message, transfer);
      },
      async kill() {
        await worker.terminate();
        await gone;
      },
    };
  };
}

/** How much of what a dying process prints is kept to look for its error. */
const PRINTED_CHARACTERS = 4096;

export interface ProcessWorkerOptions {
  /** Heap of the process, bytes: past it, it dies and the node lives on. */
  readonly memoryBytes: number;
}

/** Workers as processes of their own: nothing that one does can end the node. They end when the node is gone. */
export function processWorkers(script: URL, options: ProcessWorkerOptions): StartWorker {
  return (listener) => {
    const heapMib = Math.max(32, Math.floor(options.memoryBytes / 1024 ** 2));
    const child = fork(fileURLToPath(script), [], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [`--max-old-space-size=${String(heapMib)}`, '--max-semi-space-size=8'],
      env: {},
    });
    let ended = false;
    let printed = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-PRINTED_CHARACTERS);
    });
    const gone = new Promise<void>((resolve) => {
      const end = (exit: WorkerExit): void => {
        resolve();
        if (ended) return;
        ended = true;
        listener.onExit(exit);
      };
      child.on('exit', (code, signal) => {
        end({
          outOfMemory: signal === 'SIGABRT' || signal === 'SIGTRAP' || code === 134,
          description: signal ?? `exit code ${String(code)}: ${errorLineOf(printed)}`,
        });
      });
      child.on('error', (error) => {
        if (child.pid === undefined) end({ outOfMemory: false, description: error.message });
      });
    });
    child.on('message', (message) => {
      listener.onMessage(message);
    });
    return {
      post(message) {
        // A process that ended in this very moment is told by its exit.
        child.send(message as object, () => undefined);
      },
      async kill() {
        child.kill('SIGKILL');
        await gone;
      },
    };
  };
}

function errorLineOf(printed: string): string {
  return printed.split('\n').find((line) => /^\w*Error\b/.test(line)) ?? 'no error printed';
}
