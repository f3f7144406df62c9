import { progressLine } from './progress-line.js';
import type { Progress, ProgressTitle } from './progress-line.js';
import type { Terminal } from './terminal.js';

export type { Progress, ProgressTitle } from './progress-line.js';

/** Time between two drawings, ms: the eye sees no more. */
const REDRAW_MS = 100;
/** The rate is that of about the last so many ms. */
const MEMORY_MS = 10_000;

/**
 * A bar that moves on one line of a terminal's standard error; where there is no terminal it shows nothing. What else the terminal prints
 * meanwhile appears above it. Owns a timer: dispose it.
 */
export class ProgressBar implements Disposable {
  readonly #terminal: Terminal;
  readonly #nowMs: () => number;
  readonly #timer: NodeJS.Timeout | undefined;
  #title: ProgressTitle;
  #progress: Progress = { done: 0 };
  #rate: RateMeter;

  constructor(
    terminal: Terminal,
    title: ProgressTitle,
    nowMs: () => number = () => performance.now(),
  ) {
    this.#terminal = terminal;
    this.#title = title;
    this.#nowMs = nowMs;
    this.#rate = new RateMeter(nowMs());
    if (!terminal.interactive) return;
    this.#timer = setInterval(() => {
      this.#draw();
    }, REDRAW_MS).unref();
  }

  /** As cheap as an assignment: it is drawn ten times a second. Rate and ETA are measured where `progress` has none. */
  update(progress: Progress): void {
    this.#progress = progress;
    this.#rate.sample(progress.done, this.#nowMs());
  }

  /** Goes on to another piece of work, of which `done` was done before. */
  begin(title: ProgressTitle, done = 0): void {
    this.#title = title;
    this.#progress = { done };
    this.#rate = new RateMeter(this.#nowMs(), done);
  }

  /** The line is gone. Idempotent. */
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#terminal.moving('');
  }

  #draw(): void {
    const { done, of } = this.#progress;
    const ratePerSecond = this.#progress.ratePerSecond ?? this.#rate.perSecond(this.#nowMs());
    const left = of === undefined || ratePerSecond <= 0 ? undefined : (of - done) / ratePerSecond;
    const progress = { etaSeconds: left, ...this.#progress, ratePerSecond };
    this.#terminal.moving(progressLine(this.#title, progress, this.#terminal.columns));
  }
}

/** How fast a count grows: over its whole life while that is short, later over the last ten seconds. */
export class RateMeter {
  readonly #samples: { readonly atMs: number; readonly done: number }[];

  constructor(nowMs: number, done = 0) {
    this.#samples = [{ atMs: nowMs, done }];
  }

  sample(done: number, nowMs: number): void {
    const last = this.#samples.at(-1);
    if (last && nowMs - last.atMs < REDRAW_MS) return;
    this.#samples.push({ atMs: nowMs, done });
    const second = this.#samples[1];
    if (second && nowMs - second.atMs > MEMORY_MS) this.#samples.shift();
  }

  /** 0 = not known. */
  perSecond(nowMs: number): number {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || last.done <= first.done) return 0;
    return ((last.done - first.done) / Math.max(1, nowMs - first.atMs)) * 1000;
  }
}
