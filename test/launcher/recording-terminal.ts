import { Terminal } from '../../launcher/terminal.js';

/** Keeps what a command says. */
export class RecordingTerminal extends Terminal {
  readonly printed: string[] = [];
  readonly noted: string[] = [];
  /** What the line that moves has shown. */
  readonly moved: string[] = [];

  constructor(interactive = false) {
    super({ outputColours: false, errorColours: false, interactive });
  }

  override get columns(): number {
    return 80;
  }

  override print(text: string): void {
    this.printed.push(text);
  }

  override note(text: string): void {
    this.noted.push(text);
  }

  override moving(text: string): void {
    if (this.interactive) this.moved.push(text);
  }
}
