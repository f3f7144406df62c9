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

/** The steps of a run as lines on one time axis: `-` on the way, `.` waiting, `=` at work. */
export function waterfall(receipts: readonly Receipt[]): string[] {
  const spans = receipts.map(spanOf);
  if (spans.length === 0) return [];
  const startUs = Math.min(...spans.map((span) => span.sentUs));
  const totalUs = Math.max(...spans.map((span) => span.endUs)) - startUs;
  const at = (us: number): number =>
    Math.round(((us - startUs) / Math.max(1, totalUs)) * BAR_CHARACTERS);
  const rows = spans.map(({ receipt, sentUs, arrivedUs, workUs, endUs }) => [
    receipt.step,
    receipt.operation,
    receipt.member + (receipt.reused ? ' (reused)' : ''),
    bar([at(sentUs), at(arrivedUs), at(workUs), Math.max(at(endUs), at(workUs) + 1)]),
    duration(receipt.transferUs),
    duration(receipt.queueUs),
    duration(receipt.computeUs),
    `${size(Number(receipt.bytesIn))} > ${size(Number(receipt.bytesOut))}`,
  ]);
  return columns([['step', 'operation', 'member', '', 'way', 'wait', 'work', 'in > out'], ...rows]);
}

interface Span {
  readonly receipt: Receipt;
  readonly sentUs: number;
  readonly arrivedUs: number;
  readonly workUs: number;
  readonly endUs: number;
}

function spanOf(receipt: Receipt): Span {
  const arrivedUs = Number(receipt.arrivedAtUs);
  const workUs = arrivedUs + receipt.queueUs;
  const sentUs = arrivedUs - receipt.transferUs;
  return { receipt, arrivedUs, sentUs, workUs, endUs: workUs + receipt.computeUs };
}

function bar([sent, arrived, work, end]: [number, number, number, number]): string {
  return (
    ' '.repeat(sent) +
    '-'.repeat(arrived - sent) +
    '.'.repeat(work - arrived) +
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
