import { NORMALISATION } from '../normalisation.js';
import type { Random } from '../../../../runtime/seeded-random.js';
import { makeTaps, setTaps } from './taps.js';
import type { Taps } from './taps.js';

/** How a picture is shown once: what is cut out of it, and in what light. */
export interface ViewPlan {
  /** The part that is shown, as shares of the picture. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly flipped: boolean;
  readonly saturation: number;
  readonly contrast: number;
  readonly brightness: number;
  /** Below 1 = resized more sharply: whoever serves the model resizes in a way of their own. */
  readonly sharpness: number;
  /** Centre of a square that is blanked, as shares of the view; undefined = none. */
  readonly hole: readonly [x: number, y: number] | undefined;
}

const SMALLEST_SIDE = 0.6;
const SMALLEST_GENTLE_SIDE = 0.85;
const STRETCH = [0.85, 1.18] as const;
const SATURATION = [0.6, 1.4] as const;
const CONTRAST = [0.75, 1.3] as const;
const BRIGHTNESS = [-0.4, 0.4] as const;
const SHARPNESS = [0.7, 1.05] as const;
/** Half a hole's side, as a share of the view's. */
const HALF_HOLE = 1 / 6;

/**
 * Draws a view. Colours change in strength, never in hue, and nothing turns upside down: what a class is by colour, light or direction stays so, except for
 * left and right. Gentle: nearly the whole picture and no hole, as the served model will see it.
 */
export function drawView(random: Random, gentle: boolean): ViewPlan {
  const between = ([low, high]: readonly [number, number]): number => low + random() * (high - low);
  const side = between([gentle ? SMALLEST_GENTLE_SIDE : SMALLEST_SIDE, 1]);
  const stretch = Math.sqrt(between(STRETCH));
  const [height, width] = [Math.min(1, side * stretch), Math.min(1, side / stretch)];
  return {
    ...{ width, height, left: random() * (1 - width), top: random() * (1 - height) },
    flipped: random() < 0.5,
    saturation: between(SATURATION),
    contrast: between(CONTRAST),
    brightness: between(BRIGHTNESS),
    sharpness: between(SHARPNESS),
    hole: gentle ? undefined : [random(), random()],
  };
}

/** Makes views of pictures of one size, as tensors of another. Keeps its working memory; one per thread. */
export class ViewMaker {
  readonly #sidePx: number;
  readonly #size: number;
  readonly #across: Taps;
  readonly #down: Taps;
  /** The rows that are needed, resampled across: three numbers a pixel. */
  readonly #rows: Float32Array;

  constructor(sidePx: number, size: number) {
    this.#sidePx = sidePx;
    this.#size = size;
    this.#across = makeTaps(size);
    this.#down = makeTaps(size);
    this.#rows = new Float32Array(sidePx * size * 3);
  }

  /** Writes the view at `offset` of `out`: 3 x size x size, normalised. `picture`: rows of RGB bytes. */
  make(picture: Uint8Array, plan: ViewPlan, out: Float32Array, offset: number): void {
    const side = this.#sidePx;
    const size = this.#size;
    const { left, top, width, height, sharpness } = plan;
    setTaps(
      this.#across,
      { source: side, from: left * side, length: width * side },
      size,
      sharpness,
    );
    setTaps(this.#down, { source: side, from: top * side, length: height * side }, size, sharpness);
    const { starts, count } = this.#down;
    this.#resampleAcross(picture, starts[0] ?? 0, (starts[size - 1] ?? 0) + count);
    this.#resampleDown(plan, out, offset);
    if (plan.hole) this.#blank(plan.hole, out, offset);
  }

  /* eslint-disable @typescript-eslint/no-non-null-assertion -- the two loops below are all the time that views take; all places exist by construction */

  #resampleAcross(picture: Uint8Array, fromRow: number, toRow: number): void {
    const side = this.#sidePx;
    const size = this.#size;
    const rows = this.#rows;
    const { starts, weights, count } = this.#across;
    for (let row = fromRow; row < toRow; row++) {
      let to = row * size * 3;
      const line = row * side * 3;
      for (let x = 0, weight = 0; x < size; x++) {
        let from = line + starts[x]! * 3;
        let red = 0;
        let green = 0;
        let blue = 0;
        for (let tap = 0; tap < count; tap++, from += 3) {
          const share = weights[weight++]!;
          red += share * picture[from]!;
          green += share * picture[from + 1]!;
          blue += share * picture[from + 2]!;
        }
        rows[to++] = red;
        rows[to++] = green;
        rows[to++] = blue;
      }
    }
  }

  #resampleDown(plan: ViewPlan, out: Float32Array, offset: number): void {
    const size = this.#size;
    const rows = this.#rows;
    const { starts, weights, count } = this.#down;
    const { mean, std } = NORMALISATION;
    const [redStd, greenStd, blueStd] = std;
    const [redScale, greenScale, blueScale] = [redStd, greenStd, blueStd].map(
      (value) => 1 / (255 * value),
    ) as [number, number, number];
    const [redShift, greenShift, blueShift] = [
      mean[0] / redStd,
      mean[1] / greenStd,
      mean[2] / blueStd,
    ];
    const own = plan.saturation * plan.contrast;
    const grey = ((1 - plan.saturation) * plan.contrast) / 3;
    const { brightness, flipped } = plan;
    const plane = size * size;
    const stride = size * 3;
    for (let y = 0; y < size; y++) {
      const first = starts[y]! * stride;
      let to = offset + y * size + (flipped ? size - 1 : 0);
      const step = flipped ? -1 : 1;
      for (let x = 0; x < size; x++, to += step) {
        let from = first + x * 3;
        let red = 0;
        let green = 0;
        let blue = 0;
        for (let tap = 0, weight = y * count; tap < count; tap++, from += stride) {
          const share = weights[weight++]!;
          red += share * rows[from]!;
          green += share * rows[from + 1]!;
          blue += share * rows[from + 2]!;
        }
        red = red * redScale - redShift;
        green = green * greenScale - greenShift;
        blue = blue * blueScale - blueShift;
        const all = (red + green + blue) * grey + brightness;
        out[to] = red * own + all;
        out[to + plane] = green * own + all;
        out[to + 2 * plane] = blue * own + all;
      }
    }
  }

  /* eslint-enable @typescript-eslint/no-non-null-assertion */

  #blank([x, y]: readonly [number, number], out: Float32Array, offset: number): void {
    const size = this.#size;
    const half = Math.floor(size * HALF_HOLE);
    const [centreX, centreY] = [Math.floor(x * size), Math.floor(y * size)];
    const [left, right] = [Math.max(0, centreX - half), Math.min(size, centreX + half)];
    for (let plane = 0; plane < 3; plane++)
      for (let row = Math.max(0, centreY - half); row < Math.min(size, centreY + half); row++) {
        const start = offset + (plane * size + row) * size;
        out.fill(0, start + left, start + right);
      }
  }
}
