import sharp from 'sharp';
import type { Random } from '../../runtime/seeded-random.js';

/** What the painter can draw; the labels of the model `shapes`. */
export const SHAPES = ['circle', 'square', 'triangle', 'star'] as const;
export type Shape = (typeof SHAPES)[number];

/** Share of the picture's side, from the centre of a shape to its corners. */
const RADIUS: readonly [number, number] = [0.22, 0.42];
const STAR_INNER_RADIUS = 0.4;
const CORNERS = { square: 4, triangle: 3, star: 10 } as const;
/** Least distance of the two colours in RGB space, of 441 at most. */
const LEAST_CONTRAST = 110;

type Colour = readonly [number, number, number];

/**
 * Paints one shape of a random colour, size, place and turn on a plain background, as a PNG.
 * `random` gives numbers from 0 to 1; the same numbers give the same picture. `sizePx` is the picture's side.
 */
export async function paintShape(
  shape: Shape,
  random: Random = Math.random,
  sizePx = 192,
): Promise<Buffer> {
  const between = (from: number, to: number): number => from + random() * (to - from);
  const radius = sizePx * between(...RADIUS);
  const centre = [between(radius, sizePx - radius), between(radius, sizePx - radius)] as const;
  const [ink, paper] = colours(random);
  const outline = outlineOf(shape, centre, radius, random() * 2 * Math.PI);
  const side = String(sizePx);
  const drawing = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}">
    <rect width="100%" height="100%" fill="rgb(${paper.join(',')})"/>
    <g fill="rgb(${ink.join(',')})">${outline}</g></svg>`;
  return sharp(Buffer.from(drawing)).flatten().png().toBuffer();
}

function outlineOf(
  shape: Shape,
  [x, y]: readonly [number, number],
  radius: number,
  turn: number,
): string {
  if (shape === 'circle')
    return `<circle cx="${String(x)}" cy="${String(y)}" r="${String(radius)}"/>`;
  const corners = CORNERS[shape];
  const points = Array.from({ length: corners }, (_, index) => {
    const reach = shape === 'star' && index % 2 === 1 ? radius * STAR_INNER_RADIUS : radius;
    const angle = turn + (2 * Math.PI * index) / corners;
    return `${String(x + reach * Math.cos(angle))},${String(y + reach * Math.sin(angle))}`;
  });
  return `<polygon points="${points.join(' ')}"/>`;
}

function colours(random: Random): readonly [ink: Colour, paper: Colour] {
  const colour = (): Colour => [byte(random), byte(random), byte(random)];
  for (;;) {
    const [ink, paper] = [colour(), colour()];
    const distance = Math.hypot(ink[0] - paper[0], ink[1] - paper[1], ink[2] - paper[2]);
    if (distance >= LEAST_CONTRAST) return [ink, paper];
  }
}

function byte(random: Random): number {
  return Math.floor(random() * 256);
}
