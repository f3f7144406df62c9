import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

/** What a command did. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Text for its standard input, which then ends. */
  readonly input?: string;
  /** It is killed after this time. Default 60,000. */
  readonly deadlineMs?: number;
}

/** A command in a process group of its own, as a terminal would start it. Killed at its deadline. */
export class StartedCommand {
  readonly ended: Promise<CommandResult>;
  readonly #child: ChildProcess;
  readonly #listeners = new Set<() => void>();
  #stdout = '';
  #stderr = '';

  constructor(file: string, args: readonly string[], options: StartOptions = {}) {
    const { cwd, environment, input, deadlineMs = 60_000 } = options;
    const child = spawn(file, args, {
      cwd,
      env: environment ?? process.env,
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#child = child;
    // A command that doesn't read its input has ended for a reason that its exit code tells.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input ?? '');
    child.stdout.on('data', (data: Buffer) => {
      this.#stdout += data.toString();
      for (const listener of this.#listeners) listener();
    });
    child.stderr.on('data', (data: Buffer) => {
      this.#stderr += data.toString();
      for (const listener of this.#listeners) listener();
    });
    const timer = setTimeout(() => {
      this.#stderr += `\nkilled: it took longer than ${String(deadlineMs)} ms\n`;
      this.signal('SIGKILL');
    }, deadlineMs);
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => {
        clearTimeout(timer);
        resolve({ code, stdout: this.#stdout, stderr: this.#stderr });
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Sends a signal to the whole group, as the keys of a terminal do: SIGINT is Ctrl-C. */
  signal(signal: NodeJS.Signals): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    process.kill(-this.pid, signal);
  }

  /** Resolves when the command has said this on standard output or error; rejects if it ends without. */
  said(text: string): Promise<void> {
    const heard = (): boolean => this.#stdout.includes(text) || this.#stderr.includes(text);
    const spoken = new Promise<void>((resolve) => {
      const look = (): void => {
        if (!heard()) return;
        this.#listeners.delete(look);
        resolve();
      };
      this.#listeners.add(look);
      look();
    });
    const silent = this.ended.then(({ code, stderr }) => {
      if (!heard())
        throw new Error(`it ended with ${String(code)} and never said ${text}: ${stderr}`);
    });
    return Promise.race([spoken, silent]);
  }
}
