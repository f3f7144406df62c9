import { ARMS, fasterArm } from './rows.js';
import type { TaxRow } from './rows.js';
import { linearScale, logScale, logTicks } from './scale.js';
import type { Scale } from './scale.js';
import { formatBytes } from './sizes.js';
import { rangeOf } from './statistics.js';
import type { Range } from './statistics.js';
import { box, COLOURS, dot, line, text, whisker } from './svg.js';

/** Where a panel lies in the picture. */
export interface Area {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Ends of the axes: the same for all graphs, so that they can be compared. */
export interface Axes {
  readonly sizes: Range;
  readonly timeTicks: readonly number[];
  readonly highestRatio: number;
}

export function axesOf(rows: readonly TaxRow[]): Axes {
  const highest = Math.max(3, ...rows.flatMap((row) => [row.bytesRatio, row.latencyRange[1]]));
  return {
    sizes: rangeOf(rows.map(({ payloadBytes }) => payloadBytes)),
    timeTicks: logTicks(rangeOf(rows.flatMap(({ star, ring }) => [star.p50Ms, ring.p50Ms]))),
    highestRatio: Math.ceil(highest * 2 + 0.4) / 2,
  };
}

/** The two panels of one graph: time of a run, and star / ring. */
export function panelsOf(
  rows: readonly TaxRow[],
  axes: Axes,
  [time, ratio]: readonly [Area, Area],
): string {
  return [timePanel(rows, axes, time), ratioPanel(rows, axes, ratio)].join('\n');
}

function timePanel(rows: readonly TaxRow[], { sizes, timeTicks }: Axes, area: Area): string {
  const y = logScale(rangeOf(timeTicks), [area.top + area.height, area.top]);
  const x = sizeScale(sizes, area);
  const labels = timeTicks.map((tick) => [tick, `${String(tick)} ms`] as const);
  return [
    frame(rows, area, { x, y, labels, title: 'median time of a run' }),
    ...ARMS.flatMap((arm) => {
      const points = rows.map((row) => [x(row.payloadBytes), y(row[arm].p50Ms)] as const);
      return series(points, COLOURS[arm]);
    }),
    legend(area, [
      ['star', COLOURS.star, 60],
      ['ring', COLOURS.ring, 60],
    ]),
  ].join('\n');
}

function ratioPanel(rows: readonly TaxRow[], { sizes, highestRatio }: Axes, area: Area): string {
  const bottom = area.top + area.height;
  const right = area.left + area.width;
  const y = linearScale([0, highestRatio], [bottom, area.top]);
  const x = sizeScale(sizes, area);
  const ticks = Array.from({ length: Math.floor(highestRatio) + 1 }, (_, tick) => tick);
  const labels = ticks.map((tick) => [tick, `${String(tick)}x`] as const);
  const place = (ratio: (row: TaxRow) => number): (readonly [number, number])[] =>
    rows.map((row) => [x(row.payloadBytes), y(ratio(row))]);
  const even = [
    [area.left, y(1)],
    [right, y(1)],
  ] as const;
  const hint = { anchor: 'end', colour: COLOURS.muted } as const;
  return [
    box({ ...area, top: y(1), height: bottom - y(1) }, COLOURS.starZone),
    frame(rows, area, { x, y, labels, title: 'star ÷ ring' }),
    line(even, { colour: COLOURS.ink, width: 1.2 }),
    text(right - 6, bottom - 8, 'below 1x the star costs less', hint),
    ...winners(rows, area, x),
    ...series(
      place((row) => row.bytesRatio),
      COLOURS.bytes,
    ),
    ...rows.map(({ payloadBytes, latencyRange: [low, high] }) =>
      whisker(x(payloadBytes), y(low), y(high), COLOURS.time),
    ),
    ...series(
      place((row) => row.latencyRatio),
      COLOURS.time,
    ),
    legend(area, [
      ['bytes on the wire', COLOURS.bytes, 150],
      ['time', COLOURS.time, 60],
    ]),
  ].join('\n');
}

/** Under each size who was faster, by the rule of FASTER in the table. */
function winners(rows: readonly TaxRow[], area: Area, x: Scale): string[] {
  const y = area.top + area.height + 37;
  return [
    text(area.left - 8, y, 'faster', { anchor: 'end', colour: COLOURS.muted }),
    ...rows.map((row) => {
      const arm = fasterArm(row);
      const colour = arm === 'even' ? COLOURS.muted : COLOURS[arm];
      return text(x(row.payloadBytes), y, arm, { anchor: 'middle', bold: arm !== 'even', colour });
    }),
  ];
}

interface Frame {
  readonly x: Scale;
  readonly y: Scale;
  readonly labels: readonly (readonly [number, string])[];
  readonly title: string;
}

/** Grid, axes with their labels, title. */
function frame(rows: readonly TaxRow[], area: Area, { x, y, labels, title }: Frame): string {
  const right = area.left + area.width;
  const bottom = area.top + area.height;
  return [
    ...labels.flatMap(([value, label]) => [
      line(
        [
          [area.left, y(value)],
          [right, y(value)],
        ],
        { colour: COLOURS.grid },
      ),
      text(area.left - 8, y(value) + 4, label, { anchor: 'end', colour: COLOURS.muted }),
    ]),
    ...rows.flatMap(({ payloadBytes }) => [
      line(
        [
          [x(payloadBytes), bottom],
          [x(payloadBytes), bottom + 5],
        ],
        { colour: COLOURS.muted },
      ),
      text(x(payloadBytes), bottom + 20, formatBytes(payloadBytes), { anchor: 'middle' }),
    ]),
    text(area.left, area.top - 12, title, { bold: true }),
  ].join('\n');
}

function series(points: readonly (readonly [number, number])[], colour: string): string[] {
  return [line(points, { colour, width: 2.2 }), ...points.map((point) => dot(point, colour))];
}

/** In the line of the title, at its right end; entries with their widths. */
function legend(
  area: Area,
  entries: readonly (readonly [label: string, colour: string, width: number])[],
): string {
  let x = area.left + area.width - entries.reduce((sum, [, , width]) => sum + width, 0);
  const y = area.top - 12;
  const parts: string[] = [];
  for (const [label, colour, width] of entries) {
    const dash = [
      [x, y - 4],
      [x + 18, y - 4],
    ] as const;
    parts.push(line(dash, { colour, width: 2.2 }), text(x + 23, y, label, { colour }));
    x += width;
  }
  return parts.join('\n');
}

/** Payloads over the width, with some room at both ends. */
function sizeScale([low, high]: Range, { left, width }: Area): Scale {
  if (low === high) return () => left + width / 2;
  return logScale([low, high], [left + 30, left + width - 30]);
}
