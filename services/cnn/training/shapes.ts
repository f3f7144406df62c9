import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import sharp from 'sharp';

import { randomOf } from './random.js';
import type { Random } from '../../../runtime/seeded-random.js';

/** What is drawn; each is a class of the model `shapes`. */
const SHAPES = ['circle', 'square', 'star', 'triangle'] as const;
export type Shape = (typeof SHAPES)[number];

/** The limits are a little wider than what a painter should use, so that a model that was trained on them is at ease in between. */
const SIDE_PX = [96, 256] as const;
/** Of the circle around the shape, as a share of the picture's side. */
const RADIUS = [0.18, 0.44] as const;
/** Of a star's dents, as a share of its radius. */
const INNER_RADIUS = [0.36, 0.52] as const;
const CORNERS = { square: 4, triangle: 3, star: 10 } as const;
/** Least distance of the two colours in RGB space, of 441 at most. */
const LEAST_CONTRAST = 80;
/** Standard deviation of the noise, in steps of 255. */
const NOISE = [0, 10] as const;
const JPEG_QUALITY = [50, 95] as const;
const JPEG_SHARE = 0.5;

type Range = readonly [from: number, to: number];
type Colour = readonly [red: number, green: number, blue: number];

/** Draws pictures of one shape each on a plain background into folders named by the shapes. Same seed, same pictures. */
export async function drawShapes(
  folder: string,
  options: { readonly perShape: number; readonly seed: number },
): Promise<void> {
  for (const shape of SHAPES) {
    await mkdir(path.join(folder, shape), { recursive: true });
    for (let index = 0; index < options.perShape; index++) {
      const random = randomOf(options.seed, SHAPES.indexOf(shape), index);
      const { bytes, extension } = await drawShape(shape, random);
      const name = `${shape}-${String(index).padStart(5, '0')}.${extension}`;
      await writeFile(path.join(folder, shape, name), bytes);
    }
  }
}

/** One picture: a filled shape without an outline, of any size, place, turn and colours; half of them JPEG, the others PNG. */
async function drawShape(
  shape: Shape,
  random: Random,
): Promise<{ readonly bytes: Buffer; readonly extension: 'jpg' | 'png' }> {
  const side = Math.round(between(SIDE_PX, random));
  const radius = side * between(RADIUS, random);
  const centre = [
    between([radius, side - radius], random),
    between([radius, side - radius], random),
  ] as const;
  const [ink, paper] = colours(random);
  const outline = outlineOf(shape, centre, radius, random);
  const size = String(side);
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${size}" height="${size}"><rect width="100%" height="100%" fill="rgb(${paper.join(',')})"/><g fill="rgb(${ink.join(',')})">${outline}</g></svg>`;
  const clean = await sharp(Buffer.from(drawing)).flatten().removeAlpha().raw().toBuffer();
  const picture = sharp(withNoise(clean, between(NOISE, random), random), {
    raw: { width: side, height: side, channels: 3 },
  });
  if (random() >= JPEG_SHARE) return { bytes: await picture.png().toBuffer(), extension: 'png' };
  const quality = Math.round(between(JPEG_QUALITY, random));
  return { bytes: await picture.jpeg({ quality }).toBuffer(), extension: 'jpg' };
}

function outlineOf(
  shape: Shape,
  [x, y]: readonly [number, number],
  radius: number,
  random: Random,
): string {
  if (shape === 'circle')
    return `<circle cx="${String(x)}" cy="${String(y)}" r="${String(radius)}"/>`;
  const turn = random() * 2 * Math.PI;
  const inner = shape === 'star' ? between(INNER_RADIUS, random) : 1;
  const count = CORNERS[shape];
  const points = Array.from({ length: count }, (_, at) => {
    const reach = at % 2 === 1 ? radius * inner : radius;
    const angle = turn + (2 * Math.PI * at) / count;
    return `${String(x + reach * Math.cos(angle))},${String(y + reach * Math.sin(angle))}`;
  });
  return `<polygon points="${points.join(' ')}"/>`;
}

function colours(random: Random): readonly [ink: Colour, paper: Colour] {
  const colour = (): Colour => [byte(random), byte(random), byte(random)];
  for (;;) {
    const [ink, paper] = [colour(), colour()];
    if (Math.hypot(ink[0] - paper[0], ink[1] - paper[1], ink[2] - paper[2]) >= LEAST_CONTRAST)
      return [ink, paper];
  }
}

/** About normal: the sum of three draws. */
function withNoise(pixels: Buffer, deviation: number, random: Random): Buffer {
  return Buffer.from(
    pixels.map((value) => {
      const noise = (random() + random() + random() - 1.5) * 2 * deviation;
      return Math.max(0, Math.min(255, Math.round(value + noise)));
    }),
  );
}

function between([from, to]: Range, random: Random): number {
  return from + random() * (to - from);
}

function byte(random: Random): number {
  return Math.floor(random() * 256);
}
