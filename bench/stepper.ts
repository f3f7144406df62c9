import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** A process of other software that does one step of work per line it is sent, and answers with the step's milliseconds. */
export class Stepper implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    if (!child.stdout) throw new Error('the process has no standard output');
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** Undefined where it doesn't run here: its first step fails. */
  static async start(command: string, args: readonly string[]): Promise<Stepper | undefined> {
    const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'ignore'] });
    // A command that isn't there and one that dies at once both show as an end of output.
    child.on('error', () => undefined);
    child.stdin.on('error', () => undefined);
    const stepper = new Stepper(child);
    const first = await stepper.step();
    return Number.isFinite(first) ? stepper : undefined;
  }

  /** Milliseconds; NaN when the process has ended. */
  async step(): Promise<number> {
    this.#child.stdin?.write('step\n');
    const answer: IteratorResult<string, unknown> = await this.#answers.next();
    return answer.done === true ? Number.NaN : Number(answer.value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await ended;
  }
}
