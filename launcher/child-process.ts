import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

/** How to start the process of a node. */
export interface NodeCommand {
  /** Member id, such as `storage-1`. */
  readonly name: string;
  /** Device type. */
  readonly type: string;
  readonly main: string;
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Its JSON log lines are appended here; also when the launcher is gone. */
  readonly logFile: string;
  /** Program with its arguments that turns into the node, such as one that enters a namespace. Default: none. */
  readonly within?: readonly [program: string, ...args: string[]];
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * One life of a node: a process in a group of its own, so that Ctrl-C reaches only the launcher. Its standard input is a pipe that
 * nobody writes to: when the launcher dies, it ends, and the node stops itself.
 */
export class NodeChild {
  readonly command: NodeCommand;
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;

  constructor(command: NodeCommand) {
    this.command = command;
    const log = openSync(command.logFile, 'a', 0o600);
    try {
      const node = [process.execPath, '--enable-source-maps', command.main, ...command.args];
      const [program = process.execPath, ...args] = [...(command.within ?? []), ...node];
      this.#process = spawn(program, args, {
        ...{ stdio: ['pipe', log, log], detached: true, env: command.environment },
      });
    } finally {
      closeSync(log);
    }
    // A node that dies breaks the pipe; that it died is heard of anyway.
    this.#process.stdin?.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      this.#process.once('exit', (code, signal) => {
        resolve({ code, signal });
      });
      // Not even started: there is no exit then.
      this.#process.once('error', () => {
        resolve({ code: 127, signal: null });
      });
    });
  }

  /** 0 if it could not be started. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get isRunning(): boolean {
    const { pid, exitCode, signalCode } = this.#process;
    return pid !== undefined && exitCode === null && signalCode === null;
  }

  /** Asks it to stop; after `graceMs` it is killed. Resolves when it is gone. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    if (!this.isRunning) return;
    // A frozen process hears nothing else.
    this.#process.kill('SIGCONT');
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.kill();
    }, graceMs);
    await this.exited;
    clearTimeout(timer);
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

/** `exit code 1` or `signal SIGKILL`. */
export function describeExit(exit: Exit): string {
  return exit.signal === null ? `exit code ${String(exit.code)}` : `signal ${exit.signal}`;
}
