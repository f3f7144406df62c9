import type { TrainingEpoch } from '../../protos/gen/fractory/v1/cnn.js';
import { linearScale } from '../tax/scale.js';
import { COLOURS, dot, line, text } from '../tax/svg.js';

const WIDTH = 900;
const HEIGHT = 360;
const PANEL = { width: 360, height: 220, top: 84 } as const;
const LEFTS = [64, 496] as const;
const MAX_LABELS = 8;
const TRAINING = COLOURS.star;
const VALIDATION = COLOURS.ring;

interface Panel {
  readonly title: string;
  readonly left: number;
  readonly ticks: readonly number[];
  readonly label: (tick: number) => string;
  readonly of: (epoch: TrainingEpoch) => readonly [training: number, validation: number];
}

/** How a training went, as SVG: accuracy and loss by epoch, in training and on the validation pictures. */
export function learningCurve(title: string, epochs: readonly TrainingEpoch[]): string {
  const best = epochs.findLast((epoch) => epoch.best);
  const losses = epochs.flatMap((epoch) => [epoch.trainingLoss, epoch.validationLoss]);
  const accuracies = epochs.flatMap((epoch) => [epoch.trainingAccuracy, epoch.validationAccuracy]);
  const panels: readonly Panel[] = [
    {
      ...{ title: 'right answers', left: LEFTS[0] },
      ticks: accuracyTicks(Math.min(...accuracies)),
      label: (tick) => `${String(Math.round(100 * tick))} %`,
      of: (epoch) => [epoch.trainingAccuracy, epoch.validationAccuracy],
    },
    {
      ...{ title: 'loss (cross-entropy)', left: LEFTS[1] },
      ticks: lossTicks(Math.max(...losses)),
      label: (tick) => tick.toFixed(1),
      of: (epoch) => [epoch.trainingLoss, epoch.validationLoss],
    },
  ];
  const subtitle = best
    ? `best: epoch ${String(best.epoch)}, ${(100 * best.validationAccuracy).toFixed(1)} % of the validation pictures`
    : 'no epoch has ended';
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(WIDTH)} ${String(HEIGHT)}" font-family="system-ui, sans-serif" font-size="12">`,
    `<rect width="${String(WIDTH)}" height="${String(HEIGHT)}" fill="#ffffff"/>`,
    text(24, 30, title, { size: 16, bold: true }),
    text(24, 50, subtitle, { colour: COLOURS.muted }),
    ...panels.map((panel) => drawPanel(panel, epochs, best)),
    '</svg>\n',
  ].join('\n');
}

function drawPanel(
  { title, left, ticks, label, of }: Panel,
  epochs: readonly TrainingEpoch[],
  best: TrainingEpoch | undefined,
): string {
  const { width, height, top } = PANEL;
  const bottom = top + height;
  const y = linearScale([Math.min(...ticks), Math.max(...ticks)], [bottom, top]);
  const last = Math.max(2, epochs.length);
  const x = linearScale([1, last], [left + 12, left + width - 12]);
  const points = (side: 0 | 1): (readonly [number, number])[] =>
    epochs.map((epoch) => [x(epoch.epoch), y(of(epoch)[side])]);
  const numbered = epochs.filter((_, at) => at % Math.ceil(epochs.length / MAX_LABELS) === 0);
  return [
    text(left, top - 10, title, { bold: true }),
    text(left + width, top - 10, 'validation', { anchor: 'end', colour: VALIDATION }),
    text(left + width - 66, top - 10, 'training', { anchor: 'end', colour: TRAINING }),
    ...ticks.flatMap((tick) => [
      line(
        [
          [left, y(tick)],
          [left + width, y(tick)],
        ],
        { colour: COLOURS.grid },
      ),
      text(left - 8, y(tick) + 4, label(tick), { anchor: 'end', colour: COLOURS.muted }),
    ]),
    ...numbered.map(({ epoch }) =>
      text(x(epoch), bottom + 18, String(epoch), { anchor: 'middle', colour: COLOURS.muted }),
    ),
    text(left + width / 2, bottom + 38, 'epoch', { anchor: 'middle', colour: COLOURS.muted }),
    line(points(0), { colour: TRAINING, width: 1.6 }),
    line(points(1), { colour: VALIDATION, width: 2.2 }),
    ...(best ? [dot([x(best.epoch), y(of(best)[1])], VALIDATION)] : []),
  ].join('\n');
}

function accuracyTicks(lowest: number): number[] {
  const step = lowest < 0.5 ? 0.2 : lowest < 0.8 ? 0.1 : 0.05;
  const from = Math.max(0, Math.floor(lowest / step));
  const count = Math.round(1 / step) - from;
  return Array.from({ length: count + 1 }, (_, at) => (from + at) * step);
}

function lossTicks(highest: number): number[] {
  const step = [0.1, 0.2, 0.5, 1, 2, 5].find((size) => highest / size <= 6) ?? 10;
  return Array.from({ length: Math.ceil(highest / step) + 1 }, (_, at) => at * step);
}

const BARS = '▁▂▃▄▅▆▇█';

/** Validation accuracy by epoch in one line of text. */
export function sparkline(epochs: readonly TrainingEpoch[], most = 60): string {
  const values = epochs.map(({ validationAccuracy }) => validationAccuracy);
  const stride = Math.ceil(values.length / most);
  const shown = values.filter((_, at) => at % stride === 0 || at === values.length - 1);
  const [low, high] = [Math.min(...shown), Math.max(...shown)];
  const level = (value: number): number =>
    high === low ? BARS.length - 1 : Math.round(((value - low) / (high - low)) * (BARS.length - 1));
  return shown.map((value) => BARS[level(value)] ?? '').join('');
}
