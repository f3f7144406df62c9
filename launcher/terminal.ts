import type { TerminalConfig } from '../config/terminal.js';
import { coloursFor } from './colours.js';
import type { Colours } from './colours.js';

/** Where a command says things: data on standard output, everything else on standard error. */
export class Terminal {
  readonly outputColours: Colours;
  readonly errorColours: Colours;
  /** Somebody watches standard error: a line may move there. */
  readonly interactive: boolean;
  #moving = false;

  constructor(config: TerminalConfig) {
    this.outputColours = coloursFor(config.outputColours);
    this.errorColours = coloursFor(config.errorColours);
    this.interactive = config.interactive;
  }

  /** Data: what another program may read. */
  print(text: string): void {
    this.#settle();
    process.stdout.write(`${text}\n`);
  }

  printJson(value: unknown): void {
    this.print(JSON.stringify(value));
  }

  /** Something for people. */
  note(text: string): void {
    this.#settle();
    process.stderr.write(`${text}\n`);
  }

  warn(text: string): void {
    this.note(`${this.errorColours.yellow('warning:')} ${text}`);
  }

  fail(text: string): void {
    this.note(`${this.errorColours.red('error:')} ${text}`);
  }

  /** Width of the terminal behind standard error, characters; 80 where there is none. */
  get columns(): number {
    return process.stderr.columns || 80;
  }

  /** Replaces the line that moves; '' takes it away. Shows nothing where there is no terminal. */
  moving(text: string): void {
    if (!this.interactive) return;
    if (text === '') this.#settle();
    else {
      process.stderr.write(`\r\u001b[K${this.errorColours.dim(text)}`);
      this.#moving = true;
    }
  }

  /** How far something has come: one line that moves on a terminal, lines elsewhere. */
  progress(text: string): void {
    if (!this.interactive) {
      this.note(text);
      return;
    }
    this.moving(text);
  }

  /** The line that moves is gone before anything else appears. */
  #settle(): void {
    if (!this.#moving) return;
    this.#moving = false;
    process.stderr.write('\r\u001b[K');
  }
}
