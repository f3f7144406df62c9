import { EventEmitter, once } from 'node:events';

import { Terminal } from '../../launcher/terminal.js';

/** Keeps what a command says. */
export class RecordingTerminal extends Terminal {
  readonly printed: string[] = [];
  readonly noted: string[] = [];
  /** What the line that moves has shown. */
  readonly moved: string[] = [];
  readonly #events = new EventEmitter();

  constructor(interactive = false) {
    super({ outputColours: false, errorColours: false, interactive });
  }

  override get columns(): number {
    return 80;
  }

  /** Resolves when so much has been printed. */
  async hasPrinted(count: number): Promise<void> {
    while (this.printed.length < count) await once(this.#events, 'print');
  }

  /** Resolves when the line that moves has been shown so often. */
  async hasMoved(count: number): Promise<void> {
    while (this.moved.length < count) await once(this.#events, 'move');
  }

  override print(text: string): void {
    this.printed.push(text);
    this.#events.emit('print');
  }

  override note(text: string): void {
    this.noted.push(text);
  }

  override moving(text: string): void {
    if (!this.interactive) return;
    this.moved.push(text);
    this.#events.emit('move');
  }
}
