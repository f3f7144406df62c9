import { linearScale, logScale, logTicks } from '../tax/scale.js';
import type { Scale } from '../tax/scale.js';
import { quantile } from '../tax/statistics.js';
import { box, COLOURS, line, text } from '../tax/svg.js';
import { formatDuration } from './duration.js';
import type { ChaosEvent, RunEvent } from './events.js';
import type { FaultKind } from './fault-kind.js';
import { bookOf } from './measures.js';
import type { FaultMeasure } from './measures.js';
import { beganOf, durationOf } from './report.js';
import { membersOf } from './timeline-members.js';
import type { MemberLine } from './timeline-members.js';

const WIDTH = 1180;
const LEFT = 128;
const RIGHT = 24;
const TOP = 108;
const ROW = 22;
const GAP = 46;
const RUNS_HEIGHT = 110;
const TIMES_HEIGHT = 110;
const MOST_BINS = 120;
const SHORTEST_BIN_MS = 100;
/** So that what lasts no time can be seen, px. */
const LEAST_WIDTH = 4;
/** Of the font, on average, px. */
const LETTER = 6.6;
/** Of a key, without its word, px. */
const KEY_WIDTH = 30;

const FAULT_COLOURS: Readonly<Record<FaultKind, string>> = {
  kill: '#cf222e',
  pause: '#1f6feb',
  'expire-session': '#8250df',
  'fill-disk': '#9a6700',
  slow: '#e16f24',
  partition: '#24292f',
};
const HERE = '#dafbe1';
/** Of ZooKeeper's servers, which register nowhere. */
const ABSENT = '#f6f8fa';
const LEADS = '#1a7f37';
const RUN_COLOURS = {
  once: '#4ac26b',
  again: '#eac54f',
  failed: '#fa7970',
  bad: '#82071e',
} as const;
type RunClass = keyof typeof RUN_COLOURS;
const RUN_WORDS: Readonly<Record<RunClass, string>> = {
  once: 'succeeded',
  again: 'succeeded, tried again',
  failed: 'failed for a true reason',
  bad: 'lost, doubled or wrong',
};

interface Frame {
  readonly x: Scale;
  readonly ticksMs: readonly number[];
  readonly binMs: number;
  readonly durationMs: number;
}

/** An experiment as SVG: who was there and led, what was done to whom, and how runs ended and how long they took meanwhile. */
export function timeline(events: readonly ChaosEvent[]): string {
  const began = beganOf(events);
  const durationMs = Math.max(1000, durationOf(events));
  const frame = frameOf(durationMs);
  const members = membersOf(events, durationMs);
  const faults = bookOf(events).faults();
  const membersTop = TOP;
  const runsTop = membersTop + members.length * ROW + GAP;
  const timesTop = runsTop + RUNS_HEIGHT + GAP;
  const bottom = timesTop + TIMES_HEIGHT;
  const height = bottom + 40;
  const runs = events.filter((event) => event.event === 'run');
  const found = new Set(events.flatMap((event) => (event.event === 'found' ? [event.run] : [])));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(WIDTH)} ${String(height)}" width="${String(WIDTH)}" height="${String(height)}" font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">`,
    `<rect width="${String(WIDTH)}" height="${String(height)}" fill="#ffffff"/>`,
    text(24, 30, `${began.dataCenter}: ./datacenter ${began.command}`, { size: 16, bold: true }),
    text(
      24,
      50,
      `${began.experiment}; ${began.coordinator}, session timeout ${formatDuration(began.sessionTimeoutMs)}`,
      { colour: COLOURS.muted },
    ),
    legend(78, [
      ...kindsIn(faults).map((kind) => [FAULT_COLOURS[kind], kind] as const),
      [LEADS, 'leads'],
      [HERE, 'registered'],
    ]),
    grid(frame, [membersTop - 6, bottom]),
    ...members.map((member, row) =>
      drawMember(member, membersTop + row * ROW, frame, faultsOf(member, faults)),
    ),
    drawRuns(runs, found, runsTop, frame),
    drawTimes(runs, timesTop, frame),
    ...frame.ticksMs.map((ms) =>
      text(frame.x(ms), bottom + 20, `${String(ms / 1000)} s`, {
        anchor: 'middle',
        colour: COLOURS.muted,
      }),
    ),
    '</svg>\n',
  ].join('\n');
}

function frameOf(durationMs: number): Frame {
  const step = niceStep(durationMs / 12);
  const count = Math.floor(durationMs / step);
  return {
    x: linearScale([0, durationMs], [LEFT, WIDTH - RIGHT]),
    ticksMs: Array.from({ length: count + 1 }, (_, index) => index * step),
    binMs: Math.max(SHORTEST_BIN_MS, niceStep(durationMs / MOST_BINS)),
    durationMs,
  };
}

/** A round number, not below. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= least) ?? 10) * power;
}

function grid({ x, ticksMs }: Frame, [top, bottom]: readonly [number, number]): string {
  return ticksMs
    .map((ms) =>
      line(
        [
          [x(ms), top],
          [x(ms), bottom],
        ],
        { colour: COLOURS.grid, width: 0.6 },
      ),
    )
    .join('\n');
}

function legend(y: number, entries: readonly (readonly [colour: string, word: string])[]): string {
  let left = 24;
  return entries
    .map(([colour, word]) => {
      const at = left;
      left += 40 + LETTER * word.length;
      const mark = box({ left: at, top: y - 9, width: 14, height: 10 }, colour);
      return `${mark}${text(at + 20, y, word, { colour: COLOURS.muted })}`;
    })
    .join('\n');
}

function drawMember(
  { name, here, leads }: MemberLine,
  top: number,
  { x, durationMs }: Frame,
  faults: readonly FaultMeasure[],
): string {
  const bar = (fromMs: number, untilMs: number, offset: number, height: number, fill: string) =>
    box({ left: x(fromMs), top: top + offset, width: x(untilMs) - x(fromMs), height }, fill);
  return [
    text(LEFT - 10, top + 13, name, { anchor: 'end' }),
    ...(here.length === 0 ? [bar(0, durationMs, 2, ROW - 6, ABSENT)] : []),
    ...here.map(([fromMs, untilMs]) => bar(fromMs, untilMs, 2, ROW - 6, HERE)),
    ...leads.map(([fromMs, untilMs]) => bar(fromMs, untilMs, ROW - 7, 3, LEADS)),
    ...faults.map(({ kind, atMs, healedMs, backMs }) => {
      const untilMs = Math.min(durationMs, atMs + (healedMs ?? backMs ?? 0));
      const left = x(atMs);
      const width = Math.max(LEAST_WIDTH, x(untilMs) - left);
      // What is over by itself: a mark, and a pale bar until it is back.
      const passes = kind === 'kill' || kind === 'expire-session';
      const colour = FAULT_COLOURS[kind];
      if (!passes) return box({ left, top: top + 3, width, height: ROW - 11 }, colour);
      return [
        `<g opacity="0.25">${box({ left, top: top + 3, width, height: ROW - 11 }, colour)}</g>`,
        box({ left, top: top + 1, width: LEAST_WIDTH, height: ROW - 7 }, colour),
      ].join('');
    }),
  ].join('\n');
}

function drawRuns(
  runs: readonly RunEvent[],
  found: ReadonlySet<string>,
  top: number,
  frame: Frame,
): string {
  const { x, binMs } = frame;
  const bins = new Map<number, Record<RunClass, number>>();
  for (const run of runs) {
    const index = Math.floor(run.endMs / binMs);
    const bin = bins.get(index) ?? { once: 0, again: 0, failed: 0, bad: 0 };
    bin[classOf(run, found)]++;
    bins.set(index, bin);
  }
  const counts = [...bins.values()].map((bin) => Object.values(bin).reduce((a, b) => a + b, 0));
  const most = Math.max(1, ...counts);
  const bottom = top + RUNS_HEIGHT;
  const tall = (count: number): number => (count / most) * RUNS_HEIGHT;
  const bars = [...bins].flatMap(([index, bin]) => {
    let y = bottom;
    const left = x(index * binMs);
    const width = Math.max(1, x(Math.min((index + 1) * binMs, frame.durationMs)) - left - 0.6);
    return CLASSES.flatMap((one) => {
      if (bin[one] === 0) return [];
      y -= tall(bin[one]);
      return [box({ left, top: y, width, height: tall(bin[one]) }, RUN_COLOURS[one])];
    });
  });
  const unit = binMs >= 1000 ? `${String(binMs / 1000)} s` : `${String(binMs)} ms`;
  return [
    heading(top, `runs that ended, each ${unit}`),
    keys(
      top,
      CLASSES.map((one) => [RUN_COLOURS[one], RUN_WORDS[one]]),
    ),
    ...[0, most].map((count) =>
      text(LEFT - 10, bottom - tall(count) + 4, String(count), {
        anchor: 'end',
        colour: COLOURS.muted,
      }),
    ),
    ...bars,
    baseline(bottom, frame),
  ].join('\n');
}

const CLASSES = ['once', 'again', 'failed', 'bad'] as const;

function classOf(
  { run, outcome, attempts, sends }: RunEvent,
  found: ReadonlySet<string>,
): RunClass {
  if (found.has(run) || (outcome !== 'succeeded' && outcome !== 'failed')) return 'bad';
  if (outcome === 'failed') return 'failed';
  return attempts > 1 || sends > 1 ? 'again' : 'once';
}

/** Median and longest time of the runs, by when they were sent. */
function drawTimes(runs: readonly RunEvent[], top: number, frame: Frame): string {
  const { x, binMs } = frame;
  const bins = new Map<number, number[]>();
  for (const { atMs, endMs } of runs) {
    const index = Math.floor(atMs / binMs);
    const bin = bins.get(index) ?? [];
    bin.push(Math.max(1, endMs - atMs));
    bins.set(index, bin);
  }
  if (bins.size === 0) return '';
  const all = [...bins.values()].flat();
  const extent = [quantile(all, 0), quantile(all, 1)] as const;
  const ticks = logTicks(extent).filter((tick) => /^1/.test(String(tick)) || ticksFew(extent));
  const low = Math.min(extent[0], ...ticks);
  const high = Math.max(extent[1], ...ticks);
  const bottom = top + TIMES_HEIGHT;
  const y = logScale([low, Math.max(high, 2 * low)], [bottom, top]);
  const curve = (q: number) =>
    [...bins]
      .sort(([one], [other]) => one - other)
      .map(([index, bin]) => [x((index + 0.5) * binMs), y(quantile(bin, q))] as const);
  return [
    heading(top, 'time of a run, by when it was sent'),
    keys(top, [
      [COLOURS.ring, 'median'],
      [COLOURS.star, 'longest'],
    ]),
    ...ticks.map((tick) =>
      text(LEFT - 10, y(tick) + 4, formatDuration(tick), {
        anchor: 'end',
        colour: COLOURS.muted,
      }),
    ),
    line(curve(1), { colour: COLOURS.star, width: 1.4 }),
    line(curve(0.5), { colour: COLOURS.ring, width: 1.8 }),
    baseline(bottom, frame),
  ].join('\n');
}

function ticksFew([low, high]: readonly [number, number]): boolean {
  return high < 10 * low;
}

function heading(top: number, words: string): string {
  return text(LEFT, top - 12, words, { bold: true });
}

/** Beside the heading, up to the right edge. */
function keys(top: number, entries: readonly (readonly [colour: string, word: string])[]): string {
  const widths = entries.map(([, word]) => KEY_WIDTH + LETTER * word.length);
  let left = WIDTH - RIGHT - widths.reduce((sum, width) => sum + width, 0);
  return entries
    .map(([colour, word], index) => {
      const at = left;
      left += widths[index] ?? 0;
      const mark = box({ left: at, top: top - 21, width: 10, height: 10 }, colour);
      return mark + text(at + 15, top - 12, word, { colour: COLOURS.muted });
    })
    .join('\n');
}

function baseline(y: number, { x, durationMs }: Frame): string {
  return line(
    [
      [x(0), y],
      [x(durationMs), y],
    ],
    { colour: COLOURS.muted },
  );
}

function faultsOf({ name }: MemberLine, faults: readonly FaultMeasure[]): FaultMeasure[] {
  return faults.filter(({ target }) => target === name);
}

function kindsIn(faults: readonly FaultMeasure[]): FaultKind[] {
  return [...new Set(faults.map(({ kind }) => kind))];
}
