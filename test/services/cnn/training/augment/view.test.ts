import { drawView, ViewMaker } from '../../../../../services/cnn/training/augment/view.js';
import type { ViewPlan } from '../../../../../services/cnn/training/augment/view.js';
import { NORMALISATION } from '../../../../../services/cnn/training/normalisation.js';
import { randomOf } from '../../../../../services/cnn/training/random.js';
import { assert, suite } from '../../../../suite.js';

const WHOLE: ViewPlan = {
  ...{ left: 0, top: 0, width: 1, height: 1, flipped: false },
  ...{ saturation: 1, contrast: 1, brightness: 0, sharpness: 1, hole: undefined },
};

/** A picture that is brighter to the right and, in green, downwards. */
function slope(side: number): Uint8Array {
  const pixels = new Uint8Array(side * side * 3);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++)
      pixels.set(
        [Math.round((x * 200) / side), Math.round((y * 200) / side), 77],
        (y * side + x) * 3,
      );
  return pixels;
}

function view(plan: Partial<ViewPlan>, side: number, size: number, offset = 0): Float32Array {
  const out = new Float32Array(offset + 3 * size * size);
  new ViewMaker(side, size).make(slope(side), { ...WHOLE, ...plan }, out, offset);
  return out;
}

function near(actual: number | undefined, expected: number, tolerance = 0.03): void {
  assert.ok(
    Math.abs((actual ?? NaN) - expected) < tolerance,
    `${String(actual)} is not ${String(expected)}`,
  );
}

/** A byte as networks see it. */
function seen(byte: number, channel: 0 | 1 | 2): number {
  return (byte / 255 - NORMALISATION.mean[channel]) / NORMALISATION.std[channel];
}

suite('views of pictures', (test) => {
  test('the whole picture at its own size is the picture, normalised, channel by channel', () => {
    const out = view({}, 32, 32);
    const pixels = slope(32);
    for (const pixel of [0, 5, 31 * 32, 17 * 32 + 9])
      for (const channel of [0, 1, 2] as const)
        near(out[channel * 1024 + pixel], seen(pixels[pixel * 3 + channel]!, channel), 1e-4);
  });

  test('a picture made smaller, larger or seen in part keeps its slopes', () => {
    for (const [side, size] of [
      [128, 64],
      [40, 96],
    ] as const) {
      const part = { left: 0.25, width: 0.5, top: 0.5, height: 0.5 };
      const out = view(part, side, size);
      const middle = Math.floor(size / 2) * size + Math.floor(size / 2);
      // A pixel's value is that of its left and upper edge.
      const at = (share: number): number => 200 * (share + (0.25 / size - 0.5 / side));
      near(out[middle], seen(at(0.5), 0), 0.01);
      near(out[size * size + middle], seen(at(0.75), 1), 0.01);
      near(out[2 * size * size + middle], seen(77, 2), 1e-3);
    }
  });

  test('what is smaller than a pixel is averaged, not picked', () => {
    const side = 128;
    const stripes = new Uint8Array(side * side * 3);
    for (let at = 0; at < stripes.length; at++)
      stripes[at] = Math.floor(at / 3) % 2 === 0 ? 0 : 200;
    const out = new Float32Array(3 * 32 * 32);
    new ViewMaker(side, 32).make(stripes, WHOLE, out, 0);
    for (const value of out.subarray(33, 62)) near(value, seen(100, 0), 0.1);
  });

  test('a flipped view is the mirror of the other', () => {
    const [plain, flipped] = [view({}, 64, 32), view({ flipped: true }, 64, 32)];
    for (const [x, y] of [
      [0, 0],
      [3, 20],
      [31, 7],
    ] as const)
      assert.is(flipped[y * 32 + x], plain[y * 32 + 31 - x]);
  });

  test('a hole is blank, the rest of the view is not, and nothing outside is touched', () => {
    const out = view({ hole: [0.5, 0.5] }, 64, 32, 10);
    assert.equal(
      [...out.subarray(0, 10)],
      Array.from({ length: 10 }, () => 0),
    );
    const at = (x: number, y: number): number => out[10 + y * 32 + x]!;
    assert.is(at(16, 16), 0);
    assert.is(at(11, 20), 0);
    assert.is.not(at(10, 16), 0);
  });

  test('colours without saturation are grey; contrast and brightness act on all', () => {
    const out = view({ saturation: 0, contrast: 2, brightness: 0.5 }, 16, 16);
    const plain = view({}, 16, 16);
    const grey = (plain[100]! + plain[356]! + plain[612]!) / 3;
    for (const channel of [0, 1, 2]) near(out[channel * 256 + 100], 2 * grey + 0.5, 1e-4);
  });

  test('depend on seed, epoch and picture only; gentle ones show nearly all', () => {
    const drawn = (...parts: [bigint, number, number]): ViewPlan =>
      drawView(randomOf(...parts), false);
    assert.equal(drawn(1n, 2, 3), drawn(1n, 2, 3));
    for (const other of [drawn(2n, 2, 3), drawn(1n, 3, 3), drawn(1n, 2, 4)])
      assert.not.equal(other, drawn(1n, 2, 3));
    for (let picture = 0; picture < 200; picture++) {
      const { width, height, left, top, hole } = drawView(randomOf(1n, 0, picture), true);
      assert.ok(width > 0.75 && height > 0.75 && hole === undefined);
      assert.ok(left >= 0 && left + width <= 1 && top >= 0 && top + height <= 1);
    }
  });
});
