/** How far a piece of work has come. */
export interface Progress {
  readonly done: number;
  /** Absent = not known (yet): there is neither a bar nor an ETA then. */
  readonly of?: number | undefined;
  /** What else there is to say, such as `loss 0.312`; cut where there is no room. */
  readonly detail?: string | undefined;
  readonly ratePerSecond?: number | undefined;
  readonly etaSeconds?: number | undefined;
}

/** What stands before the bar, and what is counted. */
export interface ProgressTitle {
  readonly label: string;
  /** Plural, such as `pictures`; absent = neither counts nor rate are shown. */
  readonly unit?: string | undefined;
}

const MIN_BAR = 10;
const MAX_BAR = 40;
/** Less of a detail says nothing. */
const MIN_DETAIL = 8;
const GAP = '  ';
/** Longest time that is worth a number. */
const MAX_SECONDS = 100 * 3600;

/**
 * One line of less than `columns` characters, without colours. Where there is little room the bar shrinks and the detail is cut; then rate, counts,
 * ETA and bar go, in this order.
 */
export function progressLine(title: ProgressTitle, progress: Progress, columns: number): string {
  const room = Math.max(0, columns - 1);
  const { rate, counts, eta, percent } = figuresOf(title, progress);
  const choices = [[percent, counts, rate, eta], [percent, counts, eta], [percent, eta], [percent]];
  const head = title.label;
  for (const figures of choices) {
    const line = lineWithin(head, figures.filter(isText), progress, room);
    if (line !== undefined) return line;
  }
  return [head, percent].filter(isText).join(' ').slice(0, room);
}

/** `7 s`, `1:05`, `2:00:07`. */
export function durationText(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (!(whole < MAX_SECONDS)) return '> 99 h';
  if (whole < 60) return `${String(whole)} s`;
  const pair = (value: number): string => String(value % 60).padStart(2, '0');
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${String(minutes)}:${pair(whole)}`;
  return `${String(Math.floor(minutes / 60))}:${pair(minutes)}:${pair(whole)}`;
}

type Figures = Readonly<Record<'percent' | 'counts' | 'rate' | 'eta', string | undefined>>;

function figuresOf({ unit }: ProgressTitle, progress: Progress): Figures {
  const { done, of, ratePerSecond: rate = 0, etaSeconds: eta } = progress;
  const isOne = of === undefined ? done === 1 : of === 1;
  const total = of === undefined ? '' : `/${String(of)}`;
  return {
    percent: of === undefined ? undefined : `${String(percentOf(done, of)).padStart(3)} %`,
    counts:
      unit === undefined
        ? undefined
        : `${String(done)}${total} ${isOne ? unit.replace(/s$/, '') : unit}`,
    rate: unit === undefined || rate <= 0 ? undefined : `${rateText(rate)}/s`,
    eta:
      eta === undefined || of === undefined || done >= of ? undefined : `ETA ${durationText(eta)}`,
  };
}

/** 100 only where nothing is left. */
function percentOf(done: number, of: number): number {
  if (done >= of) return 100;
  return Math.max(0, Math.min(99, Math.floor((100 * done) / of)));
}

function rateText(rate: number): string {
  return rate < 10 ? rate.toFixed(1) : String(Math.round(rate));
}

function lineWithin(
  head: string,
  figures: readonly string[],
  { done, of, detail }: Progress,
  room: number,
): string | undefined {
  const fixed = figures.join(GAP);
  if (of === undefined) return fit([head, fixed].filter(isText).join(GAP), detail, room);
  // The head, a blank, and the brackets.
  const free = room - head.length - GAP.length - 2 - 1 - fixed.length;
  if (free < MIN_BAR) return undefined;
  const wanted = detail === undefined ? 0 : GAP.length + detail.length;
  const bar = barOf(done / Math.max(of, 1), Math.max(MIN_BAR, Math.min(MAX_BAR, free - wanted)));
  return fit(`${head}${GAP}[${bar}] ${fixed}`, detail, room);
}

function fit(line: string, detail: string | undefined, room: number): string | undefined {
  if (line.length > room) return undefined;
  const space = room - line.length - GAP.length;
  if (!isText(detail) || space < Math.min(detail.length, MIN_DETAIL)) return line;
  return `${line}${GAP}${detail.slice(0, space)}`.trimEnd();
}

function barOf(share: number, width: number): string {
  const filled = Math.floor(Math.max(0, Math.min(1, share)) * width);
  const tip = filled > 0 && filled < width ? '>' : '';
  return `${'='.repeat(filled - tip.length)}${tip}`.padEnd(width);
}

function isText(text: string | undefined): text is string {
  return text !== undefined && text !== '';
}
