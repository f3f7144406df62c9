import type {
  ReadingProgress,
  SkippedFile,
  TrainingEpoch,
  TrainingFinished,
  TrainingProgress,
  TrainingStarted,
  TrainResponse,
} from '../../protos/gen/fractory/v1/cnn.js';
import { ProgressBar } from '../progress-bar.js';
import { durationText } from '../progress-line.js';
import type { Terminal } from '../terminal.js';

/** Files that are told by name; the others are counted. */
const MAX_TOLD = 20;
/** Time between two lines where there is no terminal, ms. */
const LINE_MS = 30_000;

/** Shows a training while it goes on, and remembers what its end is told with. Owns a moving line: dispose it. */
export class TrainingView implements Disposable {
  readonly #terminal: Terminal;
  readonly #json: boolean;
  readonly #bar: ProgressBar;
  readonly #epochs: TrainingEpoch[] = [];
  #started: TrainingStarted | undefined;
  #finished: TrainingFinished | undefined;
  #skipped = 0;
  #saidMs = performance.now();

  constructor(terminal: Terminal, json: boolean) {
    this.#terminal = terminal;
    this.#json = json;
    this.#bar = new ProgressBar(terminal, { label: 'uploading' });
  }

  /** All epochs that are done, those of earlier calls too. */
  get epochs(): readonly TrainingEpoch[] {
    return this.#epochs;
  }

  get started(): TrainingStarted | undefined {
    return this.#started;
  }

  get finished(): TrainingFinished | undefined {
    return this.#finished;
  }

  uploaded(bytes: number, of: number): void {
    this.#bar.update({ done: Math.min(bytes, of), of });
  }

  show({ event }: TrainResponse): void {
    switch (event?.$case) {
      case 'reading':
        this.#read(event.value);
        break;
      case 'skipped':
        this.skipped(event.value);
        break;
      case 'started':
        this.#start(event.value);
        break;
      case 'progress':
        this.#advance(event.value);
        break;
      case 'epoch':
        this.#end(event.value);
        break;
      case 'finished':
        this.#finished = event.value;
        break;
      case undefined:
    }
  }

  skipped({ name, reason }: SkippedFile): void {
    if (this.#skipped++ < MAX_TOLD) this.#terminal.warn(`skipped ${visible(name)}: ${reason}`);
    if (this.#skipped === MAX_TOLD + 1) this.#terminal.warn('more files are skipped');
  }

  [Symbol.dispose](): void {
    this.#bar[Symbol.dispose]();
  }

  #read({ files, of }: ReadingProgress): void {
    const title = { label: of === 0n ? 'looking at files' : 'reading pictures', unit: 'files' };
    this.#bar.begin(title);
    this.#bar.update({ done: Number(files), of: of === 0n ? undefined : Number(of) });
  }

  #start(started: TrainingStarted): void {
    this.#started = started;
    const { classes, epochs, weights, network, skipped, duplicates, done } = started;
    const told = classes.map(
      ({ label, training, validation }) => `${label} ${String(training)} + ${String(validation)}`,
    );
    const left = [
      ...(skipped > 0n ? [`${String(skipped)} files skipped`] : []),
      ...(duplicates > 0n ? [`${String(duplicates)} duplicates left out`] : []),
    ];
    this.#terminal.note(
      `pictures to learn from + to validate with: ${[told.join(', '), ...left].join('; ')}`,
    );
    this.#terminal.note(
      `network ${network}, ${String(weights)} weights, ${String(epochs)} epochs` +
        (done.length > 0 ? `; going on after epoch ${String(done.length)}` : ''),
    );
    this.#epochs.push(...done);
    this.#bar.begin({
      label: `epoch ${String(done.length + 1)}/${String(epochs)}`,
      unit: 'pictures',
    });
  }

  #advance(progress: TrainingProgress): void {
    const { epochs = 0, stepsPerEpoch = 0, batch = 0 } = this.#started ?? {};
    const { epoch, step, loss, accuracy, imagesPerSecond: ratePerSecond, etaSeconds } = progress;
    const detail = `loss ${loss.toFixed(3)}  ${percent(accuracy)}`;
    const label = `epoch ${String(epoch)}/${String(epochs)}`;
    if (step <= 1) this.#bar.begin({ label, unit: 'pictures' });
    const done = ((epoch - 1) * stepsPerEpoch + step) * batch;
    const of = epochs * stepsPerEpoch * batch;
    this.#bar.update({ done, of, detail, ratePerSecond, etaSeconds });
    if (this.#terminal.interactive || performance.now() - this.#saidMs < LINE_MS) return;
    this.#say(
      `${label}  step ${String(step)}/${String(stepsPerEpoch)}  ${detail}  ${ratePerSecond.toFixed(0)}/s  ETA ${durationText(etaSeconds)}`,
    );
  }

  #end(epoch: TrainingEpoch): void {
    this.#epochs.push(epoch);
    const { epochs = 0, stepsPerEpoch = 0, batch = 0 } = this.#started ?? {};
    if (this.#json) this.#terminal.printJson(epochJson(epoch));
    this.#say(epochLine(epoch, epochs));
    const done = epoch.epoch * stepsPerEpoch * batch;
    const title = { label: `epoch ${String(epoch.epoch + 1)}/${String(epochs)}`, unit: 'pictures' };
    if (epoch.epoch < epochs) this.#bar.begin(title, done);
    else this.#bar.begin({ label: 'measuring the served model' });
  }

  #say(line: string): void {
    this.#saidMs = performance.now();
    this.#terminal.note(line);
  }
}

function epochLine(epoch: TrainingEpoch, epochs: number): string {
  const number = `${String(epoch.epoch).padStart(String(epochs).length)}/${String(epochs)}`;
  return (
    `epoch ${number}  loss ${epoch.trainingLoss.toFixed(3)}  validation ${percent(epoch.validationAccuracy)}` +
    `  loss ${epoch.validationLoss.toFixed(3)}  ${epochTime(epoch.seconds)}${epoch.best ? '  best' : ''}`
  );
}

/** A short one to the hundredth: all of them would be `1 s` else. */
function epochTime(seconds: number): string {
  return seconds < 10 ? `${seconds.toFixed(2)} s` : durationText(seconds);
}

function epochJson(epoch: TrainingEpoch): Readonly<Record<string, unknown>> {
  return { ...epoch };
}

/** A terminal obeys control characters, and files may be called anything. */
function visible(name: string): string {
  return name.replace(/\p{Cc}/gu, '?');
}

/** `93.4 %`. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
