import type { Receipt } from '../../protos/gen/fractory/v1/graph.js';

const BAR_CHARACTERS = 32;

/** Microseconds for people. */
export function duration(us: number): string {
  return us < 1000
    ? `${String(Math.round(us))} us`
    : `${(us / 1000).toFixed(us < 10_000 ? 2 : 1)} ms`;
}

/** A size for people. */
export function size(bytes: number): string {
  if (bytes < 1024) return `${String(bytes)} B`;
  return bytes < 1024 ** 2
    ? `${(bytes / 1024).toFixed(1)} KiB`
    : `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** Rows of a waterfall; a map over many elements has more steps than anybody reads. */
const MAX_ROWS = 64;

/**
 * The steps of a run as lines on one time axis, in the order in which they began, and a legend of their bars. Steps side by side overlap. A join
 * begins when its last input is sent: until then it has nothing to do.
 */
export function waterfall(receipts: readonly Receipt[]): string[] {
  const spans = receipts.map(spanOf).sort((one, other) => one.pullingUs - other.pullingUs);
  if (spans.length === 0) return [];
  const startUs = spans.reduce((earliest, { sentUs }) => Math.min(earliest, sentUs), Infinity);
  const totalUs = spans.reduce((latest, { endUs }) => Math.max(latest, endUs), startUs) - startUs;
  const at = (us: number): number =>
    Math.round(((us - startUs) / Math.max(1, totalUs)) * BAR_CHARACTERS);
  const pulls = receipts.some(({ pullUs }) => pullUs > 0);
  const rows = spans.slice(0, MAX_ROWS).map((span) => rowOf(span, at, pulls));
  const titles = ['step', 'operation', 'member', '', 'way', 'wait', ...(pulls ? ['pull'] : [])];
  const lines = columns([[...titles, 'work', 'in > out'], ...rows]);
  const more = spans.length - rows.length;
  return [...lines, ...(more > 0 ? [`... and ${String(more)} more steps`] : []), legend(pulls)];
}

function legend(pulls: boolean): string {
  const pulling = pulls ? ['~ pulling what is kept elsewhere'] : [];
  return ['- on the way (of a join: its last input)', '. waiting', ...pulling, '= at work'].join(
    ', ',
  );
}

function rowOf(span: Span, at: (us: number) => number, pulls: boolean): string[] {
  const { receipt, sentUs, arrivedUs, pullingUs, workUs, endUs } = span;
  const held = Number(receipt.heldBytes);
  const marks = [
    receipt.reused ? 'reused' : '',
    receipt.tries > 1 ? `${String(receipt.tries)} tries` : '',
  ].filter((mark) => mark !== '');
  return [
    receipt.step,
    receipt.operation,
    receipt.member + (marks.length > 0 ? ` (${marks.join(', ')})` : ''),
    bar([at(sentUs), at(arrivedUs), at(pullingUs), at(workUs), at(endUs)]),
    duration(receipt.transferUs),
    duration(receipt.queueUs),
    ...(pulls ? [duration(receipt.pullUs)] : []),
    duration(receipt.computeUs),
    `${size(Number(receipt.bytesIn))} > ${size(Number(receipt.bytesOut))}${held > 0 ? ' kept' : ''}`,
  ];
}

interface Span {
  readonly receipt: Receipt;
  readonly sentUs: number;
  readonly arrivedUs: number;
  readonly pullingUs: number;
  readonly workUs: number;
  readonly endUs: number;
}

function spanOf(receipt: Receipt): Span {
  const arrivedUs = Number(receipt.arrivedAtUs);
  const pullingUs = arrivedUs + receipt.queueUs;
  const workUs = pullingUs + receipt.pullUs;
  const sentUs = arrivedUs - receipt.transferUs;
  return { receipt, arrivedUs, sentUs, pullingUs, workUs, endUs: workUs + receipt.computeUs };
}

function bar([sent, arrived, pulling, work, end]: [
  number,
  number,
  number,
  number,
  number,
]): string {
  return (
    ' '.repeat(sent) +
    '-'.repeat(arrived - sent) +
    '.'.repeat(pulling - arrived) +
    '~'.repeat(work - pulling) +
    '='.repeat(Math.max(1, end - work))
  ).padEnd(BAR_CHARACTERS + 1);
}

/** Pads cells so that columns stand under each other. */
export function columns(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    for (const [index, cell] of row.entries())
      widths[index] = Math.max(widths[index] ?? 0, cell.length);
  return rows.map((row) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}
