import type { Experiment, Outcome, Point } from '../../gossip/simulator/experiment.js';
import { trafficKinds } from '../../gossip/simulator/traffic.js';
import type { TrafficKind } from '../../gossip/simulator/traffic.js';
import { linearScale } from '../../launcher/tax/scale.js';
import type { Scale } from '../../launcher/tax/scale.js';
import { box, COLOURS, line, text } from '../../launcher/tax/svg.js';

const WIDTH = 860;
const LEFT = 74;
const RIGHT = 20;
const PANEL = 170;
const FIRST = 84;
const SECOND = FIRST + PANEL + 62;
const HEIGHT = SECOND + PANEL + 44;

const COLOUR: Readonly<Record<TrafficKind, string>> = {
  probes: COLOURS.ring,
  rumours: COLOURS.star,
  'push/pull': COLOURS.bytes,
  'tcp ping': COLOURS.time,
};

/** Who knew when, and what it cost, as SVG. */
export function picture(words: string, experiment: Experiment, { curve }: Outcome): string {
  const size = `width="${String(WIDTH)}" height="${String(HEIGHT)}"`;
  const x = linearScale([0, experiment.forMs], [LEFT, WIDTH - RIGHT]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${String(WIDTH)} ${String(HEIGHT)}" ${size} font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">`,
    `<rect ${size} fill="#ffffff"/>`,
    text(24, 30, `simulate ${words}`, { size: 15, bold: true }),
    ...knowing(experiment, curve, x),
    ...costs(curve, x),
    ...ticksOf(experiment.forMs).map((ms) =>
      text(x(ms), HEIGHT - 22, `${String(ms / 1000)} s`, {
        anchor: 'middle',
        colour: COLOURS.muted,
      }),
    ),
    '</svg>\n',
  ].join('\n');
}

function knowing({ crash, join, forMs }: Experiment, curve: readonly Point[], x: Scale): string[] {
  const y = linearScale([0, 1], [FIRST + PANEL, FIRST]);
  const shown = [
    ...(crash > 0 ? [['deaths', COLOURS.star] as const] : []),
    ...(join > 0 ? [['joins', COLOURS.time] as const] : []),
  ];
  return [
    text(24, FIRST - 20, 'share of the members that know of it', { bold: true }),
    ...keys(shown, FIRST - 20),
    ...frame(forMs, x, [FIRST, y], [0, 0.25, 0.5, 0.75, 1], (share) => `${String(share * 100)} %`),
    ...shown.map(([what, colour]) =>
      line([[x(0), y(0)], ...curve.map((point) => [x(point.atMs), y(point[what])] as const)], {
        ...{ colour, width: 2 },
      }),
    ),
  ];
}

/** Stacked by what they are for. */
function costs(curve: readonly Point[], x: Scale): string[] {
  const most = Math.max(1, ...curve.map((point) => sum(point, trafficKinds.length)));
  const step = niceStep(most / 4);
  const top = Math.ceil(most / step) * step;
  const y = linearScale([0, top], [SECOND + PANEL, SECOND]);
  const ticks = Array.from({ length: Math.round(top / step) + 1 }, (_, index) => index * step);
  const endMs = curve.at(-1)?.atMs ?? 0;
  const bars = curve.flatMap((point, index) => {
    const left = x(index === 0 ? 0 : (curve[index - 1]?.atMs ?? 0));
    const width = Math.max(0.5, x(point.atMs) - left);
    return trafficKinds.flatMap((kind, at) => {
      const [low, high] = [y(sum(point, at)), y(sum(point, at + 1))];
      return low - high < 0.1
        ? []
        : [box({ left, top: high, width, height: low - high }, COLOUR[kind])];
    });
  });
  const shown = trafficKinds.map((kind) => [kind, COLOUR[kind]] as const);
  return [
    text(24, SECOND - 20, 'bytes that a member sends per second', { bold: true }),
    ...keys(shown, SECOND - 20),
    ...frame(endMs, x, [SECOND, y], ticks, (bytes) => bytes.toLocaleString('en-US')),
    ...bars,
  ];
}

function sum({ bytes }: Point, kinds: number): number {
  return trafficKinds.slice(0, kinds).reduce((total, kind) => total + bytes[kind], 0);
}

function frame(
  forMs: number,
  x: Scale,
  [top, y]: readonly [number, Scale],
  ticks: readonly number[],
  words: (tick: number) => string,
): string[] {
  const thin = { colour: COLOURS.grid, width: 0.7 };
  return [
    ...ticks.map((tick) =>
      line(
        [
          [LEFT, y(tick)],
          [WIDTH - RIGHT, y(tick)],
        ],
        thin,
      ),
    ),
    ...ticksOf(forMs).map((ms) =>
      line(
        [
          [x(ms), top],
          [x(ms), top + PANEL],
        ],
        thin,
      ),
    ),
    ...ticks.map((tick) =>
      text(LEFT - 8, y(tick) + 4, words(tick), { anchor: 'end', colour: COLOURS.muted }),
    ),
  ];
}

function keys(entries: readonly (readonly [word: string, colour: string])[], y: number): string[] {
  let left = WIDTH - RIGHT - entries.reduce((width, [word]) => width + 34 + 7 * word.length, 0);
  return entries.map(([word, colour]) => {
    const at = left;
    left += 34 + 7 * word.length;
    return (
      box({ left: at, top: y - 9, width: 12, height: 10 }, colour) +
      text(at + 18, y, word, { colour: COLOURS.muted })
    );
  });
}

function ticksOf(forMs: number): number[] {
  const step = niceStep(forMs / 8);
  return Array.from({ length: Math.floor(forMs / step) + 1 }, (_, index) => index * step);
}

/** A round number, not below. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least));
  return ([1, 2, 2.5, 5, 10].find((factor) => factor * power >= least) ?? 10) * power;
}
