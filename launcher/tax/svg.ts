/** Colours of the pictures in docs/. */
export const COLOURS = {
  ink: '#24292f',
  muted: '#57606a',
  grid: '#d8dee4',
  star: '#bc4c00',
  ring: '#1f6feb',
  time: '#1a7f37',
  bytes: '#8250df',
  starZone: '#fff1e5',
} as const;

export interface TextStyle {
  readonly size?: number;
  readonly bold?: boolean;
  readonly colour?: string;
  readonly anchor?: 'start' | 'middle' | 'end';
}

export function text(x: number, y: number, content: string, style: TextStyle = {}): string {
  const { size, bold = false, colour = COLOURS.ink, anchor = 'start' } = style;
  const attributes = [
    `x="${place(x)}" y="${place(y)}" fill="${colour}"`,
    ...(size === undefined ? [] : [`font-size="${String(size)}"`]),
    ...(bold ? ['font-weight="bold"'] : []),
    ...(anchor === 'start' ? [] : [`text-anchor="${anchor}"`]),
  ];
  return `<text ${attributes.join(' ')}>${escaped(content)}</text>`;
}

export interface LineStyle {
  readonly colour: string;
  readonly width?: number;
}

type Point = readonly [x: number, y: number];

/** A line through points. */
export function line(points: readonly Point[], { colour, width = 1 }: LineStyle): string {
  const path = points.map(([x, y]) => `${place(x)},${place(y)}`).join(' ');
  return `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="${String(width)}"/>`;
}

export function dot([x, y]: Point, colour: string): string {
  return `<circle cx="${place(x)}" cy="${place(y)}" r="3.6" fill="${colour}"/>`;
}

/** An upright bar with caps: a range. */
export function whisker(x: number, low: number, high: number, colour: string): string {
  const bar = [
    [x - 4, low],
    [x + 4, low],
    [x, low],
    [x, high],
    [x - 4, high],
    [x + 4, high],
  ] as const;
  return line(bar, { colour });
}

export function box(
  area: {
    readonly left: number;
    readonly top: number;
    readonly width: number;
    readonly height: number;
  },
  fill: string,
): string {
  const { left, top, width, height } = area;
  return `<rect x="${place(left)}" y="${place(top)}" width="${place(width)}" height="${place(height)}" fill="${fill}"/>`;
}

function place(value: number): string {
  return String(Number(value.toFixed(1)));
}

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
