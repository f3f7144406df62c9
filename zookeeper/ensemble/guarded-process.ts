import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * The shell keeps a reader of our pipe beside the program that takes its place (so the pid is the program's own). End of file
 * without a word means that we were killed: the reader kills the program. A line means that the program has ended.
 */
const GUARD =
  'exec 3<&0; (read -r word <&3 || kill -9 $$) >/dev/null 2>&1 & exec "$@" 3<&- </dev/null';

/** A program in a process group of its own (Ctrl-C in the terminal doesn't reach it) that doesn't outlive this process. */
export class GuardedProcess {
  readonly #child: ChildProcess;
  readonly exited: Promise<Exit>;
  #exit: Exit | undefined;

  /** @param logPath what the program prints is appended to this file */
  constructor(command: readonly string[], logPath: string) {
    const log = openSync(logPath, 'a');
    try {
      this.#child = spawn('/bin/sh', ['-c', GUARD, 'guard', ...command], {
        stdio: ['pipe', log, log],
        detached: true,
      });
    } finally {
      closeSync(log);
    }
    // The guard may be gone when we tell it that the program has ended.
    this.#child.stdin?.on('error', () => undefined);
    this.exited = new Promise((resolve) => {
      const ended = (code: number | null, signal: NodeJS.Signals | null): void => {
        this.#exit ??= { code, signal };
        this.#child.stdin?.end('ended\n');
        resolve(this.#exit);
      };
      this.#child.once('exit', ended);
      this.#child.once('error', () => {
        ended(null, null);
      });
    });
  }

  /** 0 where the program could not be started. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get exit(): Exit | undefined {
    return this.#exit;
  }

  /** SIGTERM, and SIGKILL after `graceMs`. Resolves when the program is gone. */
  async stop(graceMs: number): Promise<Exit> {
    if (this.#exit) return this.#exit;
    // A frozen program hears nothing else.
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => {
      this.#child.kill('SIGKILL');
    }, graceMs);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}
