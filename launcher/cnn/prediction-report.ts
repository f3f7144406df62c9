import type { LabelProbability } from '../../protos/gen/fractory/v1/cnn.js';
import { formatTable } from '../table.js';
import type { Answer } from './predictor.js';

/** So many files each have a row of their own; more are summed up by label. */
const MAX_ROWS = 40;
const MAX_FAILURES = 40;

interface LabelCount {
  files: number;
  probability: number;
}

/** Gathers answers for a table that people read. Holds a bounded number of them. */
export class PredictionReport {
  readonly #rows: Answer[] = [];
  readonly #failures: { readonly file: string; readonly text: string }[] = [];
  readonly #labels = new Map<string, LabelCount>();
  readonly #models = new Set<string>();
  readonly #members = new Set<string>();
  #answered = 0;
  #failed = 0;

  add(answer: Answer): void {
    if (this.#rows.length <= MAX_ROWS) this.#rows.push(answer);
    if ('error' in answer) {
      this.#failed++;
      if (this.#failures.length < MAX_FAILURES)
        this.#failures.push({ file: answer.file, text: answer.error.message });
      return;
    }
    this.#answered++;
    this.#models.add(`${answer.model}@${String(answer.version)}`);
    this.#members.add(answer.member);
    const { label, probability } = firstOf(answer.labels);
    const count = this.#labels.get(label) ?? { files: 0, probability: 0 };
    count.files++;
    count.probability += probability;
    this.#labels.set(label, count);
  }

  get failed(): number {
    return this.#failed;
  }

  /** Empty where nothing was added. */
  table(): string {
    if (this.#answered + this.#failed <= MAX_ROWS) return fileTable(this.#rows);
    const parts = [this.#labelTable()];
    if (this.#failed > 0) parts.push(this.#failureTable());
    return parts.filter((part) => part !== '').join('\n\n');
  }

  /** One line: how many, by whom, how fast. */
  summary(seconds: number): string {
    const files = `${String(this.#answered)} ${this.#answered === 1 ? 'picture' : 'pictures'}`;
    const by =
      this.#answered === 0 ? '' : ` by ${listed(this.#models)} at ${listed(this.#members)}`;
    const rate = (this.#answered / Math.max(seconds, 0.001)).toFixed(seconds < 10 ? 1 : 0);
    const speed = this.#answered > 1 ? ` (${rate} a second)` : '';
    const failed = this.#failed === 0 ? '' : `; ${String(this.#failed)} failed`;
    return `${files}${by} in ${seconds.toFixed(1)} s${speed}${failed}`;
  }

  #labelTable(): string {
    if (this.#answered === 0) return '';
    const counts = [...this.#labels].sort(([, one], [, other]) => other.files - one.files);
    const rows = counts.map(([label, { files, probability }]) => [
      label,
      String(files),
      percent(files / this.#answered),
      (probability / files).toFixed(3),
    ]);
    return formatTable(['LABEL', 'FILES', 'SHARE', 'MEAN PROBABILITY'], rows);
  }

  #failureTable(): string {
    const rows = this.#failures.map(({ file, text }) => [printable(file), printable(text)]);
    const more = this.#failed - rows.length;
    if (more > 0) rows.push(['...', `and ${String(more)} more; --json prints them all`]);
    return formatTable(['FAILED', 'WHY'], rows);
  }
}

/** What `--json` prints for a file. */
export function answerData(answer: Answer, topK: number): object {
  const { file } = answer;
  if ('error' in answer) return { file, error: answer.error.message };
  const { label, probability } = firstOf(answer.labels);
  return { file, label, probability, ...(topK > 1 && { labels: answer.labels }) };
}

function fileTable(answers: readonly Answer[]): string {
  if (answers.length === 0) return '';
  const several = answers.some((answer) => 'labels' in answer && answer.labels.length > 1);
  const header = ['FILE', 'LABEL', 'PROBABILITY', ...(several ? ['THEN'] : [])];
  const rows = answers.map((answer) => {
    const file = printable(answer.file);
    if ('error' in answer) return [file, '-', '-', ...(several ? ['-'] : []), answer.error.message];
    const { label, probability } = firstOf(answer.labels);
    return [file, label, probability.toFixed(3), ...(several ? [othersOf(answer.labels)] : []), ''];
  });
  const failed = answers.some((answer) => 'error' in answer);
  return formatTable(
    [...header, ...(failed ? ['ERROR'] : [])],
    rows.map((row) => row.map(printable)),
  );
}

function othersOf(labels: readonly LabelProbability[]): string {
  return labels
    .slice(1)
    .map(({ label, probability }) => `${label} ${probability.toFixed(3)}`)
    .join(', ');
}

function firstOf(labels: readonly LabelProbability[]): LabelProbability {
  return labels[0] ?? { label: '', probability: 0 };
}

/** Names of files may hold anything, also what moves a terminal's cursor. */
function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- just these are replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function listed(names: ReadonlySet<string>): string {
  return [...names].sort().join(', ');
}
