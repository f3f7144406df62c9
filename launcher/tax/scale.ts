import type { Range } from './statistics.js';

/** Maps a value of an axis to a place in the picture. */
export type Scale = (value: number) => number;

export function linearScale([from, to]: Range, [start, end]: Range): Scale {
  return (value) => start + ((value - from) / (to - from)) * (end - start);
}

export function logScale([from, to]: Range, places: Range): Scale {
  const inner = linearScale([Math.log(from), Math.log(to)], places);
  return (value) => inner(Math.log(value));
}

/** Powers of ten, with 2 and 5 times them, that frame and lie between two values; the first is not above `low`, the last not below `high`. */
export function logTicks([low, high]: Range): number[] {
  const ticks: number[] = [];
  for (let exponent = Math.floor(Math.log10(low)); ; exponent++)
    for (const factor of [1, 2, 5]) {
      const tick = factor * 10 ** exponent;
      if (ticks.length > 0 && tick <= low) ticks.pop();
      ticks.push(Number(tick.toPrecision(1)));
      if (tick >= high && ticks.length > 1) return ticks;
    }
}
