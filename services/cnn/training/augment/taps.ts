/** Weights of source pixels for each pixel of a line: `count` neighbours from `starts[i]` on, with `weights[i * count + k]`. */
export interface Taps {
  readonly starts: Int32Array;
  readonly weights: Float32Array;
  count: number;
}

/** Most taps of a line: a line of 1,024 pixels shrunk to 16. */
const MAX_TAPS = 160;

/** Room for lines of up to `size` pixels; used again for every line. */
export function makeTaps(size: number): Taps {
  return { starts: new Int32Array(size), weights: new Float32Array(size * MAX_TAPS), count: 0 };
}

/**
 * Resampling of the stretch [from, from + length) of a line of `source` pixels to `size` pixels by a triangle filter as wide as the pixels that it makes
 * (times `sharpness`, below 1 = sharper), so that shrinking doesn't alias. Positions needn't be whole.
 */
export function setTaps(
  taps: Taps,
  line: { readonly source: number; readonly from: number; readonly length: number },
  size: number,
  sharpness: number,
): void {
  const { source, from, length } = line;
  const scale = length / size;
  const reach = Math.max(1, scale * sharpness);
  const count = Math.min(Math.ceil(2 * reach), source, MAX_TAPS);
  taps.count = count;
  const { starts, weights } = taps;
  for (let at = 0; at < size; at++) {
    const centre = from + (at + 0.5) * scale - 0.5;
    const first = Math.ceil(centre - reach);
    const start = Math.min(Math.max(first, 0), source - count);
    starts[at] = start;
    let sum = 0;
    for (let tap = 0; tap < count; tap++) {
      const weight = Math.max(0, 1 - Math.abs(start + tap - centre) / reach);
      weights[at * count + tap] = weight;
      sum += weight;
    }
    for (let tap = 0; tap < count; tap++)
      weights[at * count + tap] = (weights[at * count + tap] ?? 0) / sum;
  }
}
