import type { TrainingEpoch, TrainingFinished } from '../../protos/gen/fractory/v1/cnn.js';
import { durationText } from '../progress-line.js';
import { formatTable } from '../table.js';
import { sparkline } from './learning-curve.js';
import { percent } from './training-view.js';

/** Classes whose confusion fits on a screen. */
const MAX_CLASSES = 12;

/** What has come out of a training. */
export function trainingReport(
  finished: TrainingFinished,
  epochs: readonly TrainingEpoch[],
): string {
  const { model, version, accuracy, sizeBytes, seconds, confusion } = finished;
  const pictures = confusion
    .flatMap(({ counts }) => counts)
    .reduce((sum, count) => sum + count, 0n);
  const best = epochs.findLast((epoch) => epoch.best);
  const facts = [
    ['model', `${model} version ${String(version)}, ${megabytes(sizeBytes)}, served from now on`],
    [
      'accuracy',
      `${percent(accuracy)} of ${String(pictures)} validation pictures, asked through the node`,
    ],
    [
      'best epoch',
      `${String(best?.epoch ?? 0)} of ${String(epochs.length)}, chosen by the validation pictures`,
    ],
    ['time', durationText(seconds)],
    ['curve', `${sparkline(epochs)} validation, ${rangeOf(epochs)}`],
  ] as const;
  const width = Math.max(...facts.map(([name]) => name.length));
  const lines = facts.map(([name, value]) => `${name.padEnd(width)}  ${value}`);
  return [lines.join('\n'), confusionTable(finished)].join('\n\n');
}

/** The same as one JSON object. */
export function reportJson(
  { model, version, accuracy, labels, confusion, seconds, sha256, sizeBytes }: TrainingFinished,
  curve: string,
): Readonly<Record<string, unknown>> {
  return {
    ...{ model, version, accuracy, labels, seconds, sha256, curve },
    confusion: confusion.map(({ counts }) => counts.map(Number)),
    sizeBytes: Number(sizeBytes),
  };
}

function confusionTable({ labels, confusion }: TrainingFinished): string {
  if (labels.length > MAX_CLASSES) {
    const rows = labels.map((label, at) => {
      const counts = confusion[at]?.counts ?? [];
      const total = counts.reduce((sum, count) => sum + count, 0n);
      return [label, `${String(counts[at] ?? 0n)} of ${String(total)}`];
    });
    return formatTable(['CLASS', 'RIGHT'], rows);
  }
  const rows = labels.map((label, at) => [label, ...(confusion[at]?.counts ?? []).map(String)]);
  return formatTable(['IS \\ ANSWER', ...labels], rows);
}

function rangeOf(epochs: readonly TrainingEpoch[]): string {
  const first = epochs.at(0)?.validationAccuracy ?? 0;
  const last = epochs.at(-1)?.validationAccuracy ?? 0;
  return `${percent(first)} to ${percent(last)}`;
}

function megabytes(bytes: bigint): string {
  return `${(Number(bytes) / 1e6).toFixed(2)} MB`;
}
