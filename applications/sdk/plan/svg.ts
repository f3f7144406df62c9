import { limitExceeded } from '../../../runtime/errors.js';
import { allSteps, cut, shownFixed, shownLimits, shownMap } from './plan.js';
import type { Plan, PlanLevel, PlanStep } from './plan.js';
import { placeInLayers } from './layers.js';
import type { Place } from './layers.js';
import { Ports } from './ports.js';
import type { DrawnEdge } from './ports.js';

/** Sizes in pixels; a monospaced font of 12 pixels has characters of about 7.3. */
const CHARACTER = 7.3;
const LINE = 16;
const PADDING = 12;
const HEADER = 26;
const MARGIN = 20;
const MAX_CHARACTERS = 64;
/** Height of a label beside an arrow. */
const LABEL_ROOM = 18;
/** More than this nobody can read, and lanes would grow with its square. */
const MAX_STEPS = 300;

/** Colours of the device types; others are grey. */
const COLOURS: Readonly<Record<string, string>> = {
  storage: '#2f6fde',
  math: '#1f8a4c',
  cnn: '#8a3fd1',
  application: '#c2620c',
  block: '#0f7f8c',
};
const OTHER_COLOUR = '#667085';
const FAILURE_COLOUR = '#c62828';
const EDGE_COLOUR = '#475467';

/** Drawn things, relative to their own corner. */
interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly lines: readonly string[];
}

/** A plan as a picture: steps in layers from the top down, maps as boxes around theirs, failures dashed. */
export function planAsSvg(plan: Plan): string[] {
  const count = [...allSteps(plan)].length;
  if (count > MAX_STEPS)
    throw limitExceeded('of a drawing', count, MAX_STEPS, {
      what: `the number of steps of ${plan.name}`,
    });
  const title = `${plan.name}: ${plan.topology}, ${String(plan.budgetMs / 1000)} s at most`;
  const { width, height, lines } = drawLevel(plan, undefined, 'result');
  const whole = Math.max(width, Math.ceil(title.length * CHARACTER)) + 2 * MARGIN;
  const tall = height + 2 * MARGIN + HEADER;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${String(whole)}" height="${String(tall)}" viewBox="0 0 ${String(whole)} ${String(tall)}" font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="12">`,
    '<defs>',
    marker('arrow', EDGE_COLOUR),
    marker('failure', FAILURE_COLOUR),
    '</defs>',
    `<rect width="${String(whole)}" height="${String(tall)}" fill="#ffffff"/>`,
    textLine(MARGIN, MARGIN + 8, title, 'font-weight="bold" fill="#101828"'),
    ...moved((whole - width) / 2, MARGIN + HEADER, lines),
    '</svg>',
  ];
}

function marker(id: string, colour: string): string {
  return `<marker id="${id}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="${colour}"/></marker>`;
}

/** Ids of the pills at the top and at the bottom of a level; no step has such an id. */
const [INLET, OUTLET] = ['', ' '];

function drawLevel(level: PlanLevel, inlet: string | undefined, outlet: string): Drawing {
  const drawings = new Map<string, Drawing>();
  if (inlet !== undefined) drawings.set(INLET, drawPill(inlet));
  for (const step of level.steps)
    drawings.set(step.id, step.each ? drawMap(step, step.each) : drawStep(step));
  drawings.set(OUTLET, drawPill(outlet));
  const edges = [
    ...level.edges,
    ...level.ends.map((from) => ({ from, to: OUTLET, argument: '', onFailure: false })),
  ];
  const nodes = [...drawings].map(([id, { width, height }]) => ({ id, width, height }));
  const { width, height, places, bends } = placeInLayers(nodes, edges);
  const ports = new Ports({ places, drawings, edges, bends });
  const arrows = edges.flatMap((edge, index) =>
    drawEdge(edge, [ports.outOf(edge), ...(bends[index] ?? []), ...headOf(edge, ports)]),
  );
  // Above all arrows, so that none goes through a word.
  const labels = edges.flatMap((edge) => drawLabel(edge, ports));
  const boxes = [...drawings].flatMap(([id, drawing]) => {
    const place = places.get(id) ?? { x: 0, y: 0 };
    return moved(place.x - drawing.width / 2, place.y, drawing.lines);
  });
  return { width, height, lines: [...boxes, ...arrows, ...labels] };
}

/** The end of an arrow: straight for as long as a label stands beside it. */
function headOf(edge: DrawnEdge, ports: Ports): Place[] {
  const end = ports.into(edge);
  return labelOf(edge) === '' ? [end] : [{ x: end.x, y: end.y - LABEL_ROOM }, end];
}

function drawEdge({ onFailure }: DrawnEdge, points: readonly Place[]): string[] {
  const [first = { x: 0, y: 0 }, ...rest] = points;
  let [x, y] = [first.x, first.y];
  const path = rest.map((next) => {
    const middle = Math.round((y + next.y) / 2);
    const curve = `C${String(x)} ${String(middle)} ${String(next.x)} ${String(middle)} ${String(next.x)} ${String(next.y)}`;
    [x, y] = [next.x, next.y];
    return curve;
  });
  const colour = onFailure ? FAILURE_COLOUR : EDGE_COLOUR;
  const style = onFailure
    ? 'stroke-dasharray="5 4" marker-end="url(#failure)"'
    : 'marker-end="url(#arrow)"';
  return [
    `<path d="M${String(first.x)} ${String(first.y)} ${path.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.4" ${style}/>`,
  ];
}

/** The argument that an edge leads to, where that is not the whole input, or that it is taken on failure. */
function labelOf({ argument, onFailure }: DrawnEdge): string {
  return onFailure ? 'failure' : argument.replace(/^input/, '');
}

/** A label on white, beside the head of its arrow. */
function drawLabel(edge: DrawnEdge, ports: Ports): string[] {
  const label = labelOf(edge);
  if (label === '') return [];
  const { x, y } = ports.into(edge);
  const colour = edge.onFailure ? FAILURE_COLOUR : EDGE_COLOUR;
  const style = `font-size="10" fill="${colour}" stroke="#ffffff" stroke-width="3" paint-order="stroke"`;
  return [textLine(x + 6, y - 7, label, style)];
}

function drawStep(step: PlanStep): Drawing {
  const [type = ''] = step.operation.split('.', 1);
  const colour = COLOURS[type] ?? OTHER_COLOUR;
  const members = step.members.length > 0 ? `on ${step.members.join(', ')}` : '';
  const details = [members, shownFixed(step), shownLimits(step)].filter((line) => line !== '');
  const texts = [step.id, step.operation, ...details.map((line) => cut(line, MAX_CHARACTERS))];
  const width = widthOf(texts);
  const height = texts.length * LINE + PADDING;
  return {
    ...{ width, height },
    lines: [
      `<g><title>${escaped([step.operation, ...details].join('\n'))}</title>`,
      `<rect width="${String(width)}" height="${String(height)}" rx="6" fill="#ffffff" stroke="${colour}" stroke-width="1.4"/>`,
      `<rect width="5" height="${String(height)}" rx="2.5" fill="${colour}"/>`,
      ...texts.map((line, index) => {
        const styles = ['font-weight="bold" fill="#101828"', `fill="${colour}"`];
        const style = styles[index] ?? 'font-size="11" fill="#475467"';
        return textLine(PADDING + 2, PADDING / 2 + (index + 1) * LINE - 4, line, style);
      }),
      '</g>',
    ],
  };
}

function drawMap(step: PlanStep, each: PlanLevel): Drawing {
  const inner = drawLevel(each, 'element', 'its result');
  const title = `${step.id}: ${shownMap(step)}`;
  const width = Math.max(inner.width + 2 * MARGIN, widthOf([title]));
  const height = inner.height + HEADER + 2 * PADDING;
  return {
    ...{ width, height },
    lines: [
      `<rect width="${String(width)}" height="${String(height)}" rx="8" fill="#f2f4f7" stroke="${OTHER_COLOUR}" stroke-dasharray="2 2"/>`,
      textLine(PADDING, 18, title, 'font-weight="bold" fill="#344054"'),
      ...moved((width - inner.width) / 2, HEADER + PADDING, inner.lines),
    ],
  };
}

function drawPill(label: string): Drawing {
  const width = widthOf([label]);
  const height = LINE + 8;
  return {
    ...{ width, height },
    lines: [
      `<rect width="${String(width)}" height="${String(height)}" rx="12" fill="#e4e7ec"/>`,
      textLine(width / 2, 16, label, 'text-anchor="middle" fill="#344054"'),
    ],
  };
}

function widthOf(lines: readonly string[]): number {
  return Math.ceil(Math.max(...lines.map((line) => line.length)) * CHARACTER) + 2 * PADDING + 2;
}

function moved(x: number, y: number, lines: readonly string[]): string[] {
  return [
    `<g transform="translate(${String(Math.round(x))} ${String(Math.round(y))})">`,
    ...lines,
    '</g>',
  ];
}

function textLine(x: number, y: number, line: string, style: string): string {
  return `<text x="${String(Math.round(x))}" y="${String(Math.round(y))}" ${style}>${escaped(line)}</text>`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => `&#${String(character.charCodeAt(0))};`);
}
