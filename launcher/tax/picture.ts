import { axesOf, panelsOf } from './panels.js';
import { GRAPHS } from './rows.js';
import type { GraphName, TaxRow } from './rows.js';
import { COLOURS, text } from './svg.js';

const WIDTH = 980;
const PANEL_WIDTH = 400;
const PANEL_HEIGHT = 210;
const TOP = 146;
const ROW_HEIGHT = 284;
const LEFT = 78;
const COLUMN_WIDTH = 470;
const LINE_HEIGHT = 17;
/** Of the font at its size, on average, rounded up. */
const CHARACTER_WIDTH = 7.2;

/** What each graph does, for its heading. */
const HEADINGS: Readonly<Record<GraphName, readonly [string, string]>> = {
  linear: ['linear', 'storage → math → storage: 4 crossings with a hub, 2 without'],
  layered: ['layered', 'block device → storage → CNN: 3 crossings with a hub, 1 without'],
};

/** A picture of all rows as SVG: above the time of a run, below star / ring, and who was faster at each size. */
export function taxPicture(rows: readonly TaxRow[], conditions: string): string {
  const graphs = GRAPHS.filter((graph) => rows.some((row) => row.graph === graph));
  const width = graphs.length > 1 ? WIDTH : LEFT + COLUMN_WIDTH + 40;
  const margin = LEFT - 56;
  const notes = wrapped(conditions, (width - 2 * margin) / CHARACTER_WIDTH);
  const below = (notes.length - 1) * LINE_HEIGHT;
  const top = TOP + below;
  const height = top + 2 * ROW_HEIGHT - 24;
  const axes = axesOf(rows);
  const columns = graphs.map((graph, column) => {
    const left = LEFT + column * COLUMN_WIDTH;
    const [name, what] = HEADINGS[graph];
    const area = { left, top, width: PANEL_WIDTH, height: PANEL_HEIGHT };
    return [
      text(left, 82 + below, name, { size: 16, bold: true }),
      text(left, 101 + below, what, { colour: COLOURS.muted }),
      panelsOf(
        rows.filter((row) => row.graph === graph),
        axes,
        [area, { ...area, top: top + ROW_HEIGHT }],
      ),
    ].join('\n');
  });
  const size = `viewBox="0 0 ${String(width)} ${String(height)}" width="${String(width)}" height="${String(height)}"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="DejaVu Sans, Verdana, sans-serif" font-size="12">`,
    `<rect width="${String(width)}" height="${String(height)}" fill="#ffffff"/>`,
    text(margin, 30, 'What a hub costs: the same graphs as star and as ring', {
      size: 18,
      bold: true,
    }),
    ...notes.map((note, index) =>
      text(margin, 50 + index * LINE_HEIGHT, note, { colour: COLOURS.muted }),
    ),
    ...columns,
    '</svg>\n',
  ].join('\n');
}

/** Lines of at most so many characters; they break behind commas and semicolons only. */
function wrapped(content: string, most: number): string[] {
  const lines: string[] = [];
  for (const part of content.split(/(?<=[,;]) /)) {
    const last = lines[lines.length - 1];
    if (last !== undefined && last.length + 1 + part.length <= most)
      lines[lines.length - 1] = `${last} ${part}`;
    else lines.push(part);
  }
  return lines;
}
