import { formatTable } from '../table.js';
import { describeCrossover } from './crossover.js';
import { fasterArm, GRAPHS } from './rows.js';
import type { ArmFigures, TaxRow } from './rows.js';
import { formatBytes } from './sizes.js';
import type { Range } from './statistics.js';

const HEADER = [
  ...['GRAPH', 'PAYLOAD', 'WIRE star', 'ring', 'BYTES star/ring', 'MESSAGES star', 'ring'],
  ...['P50 ms star', 'ring', 'TIME star/ring', 'P99 ms star', 'ring', 'FASTER'],
];

/** All rows for people; medians per run, ranges over the rounds in brackets. */
export function taxTable(rows: readonly TaxRow[]): string {
  const shaped = rows.some(({ star }) => star.interfaceBytes !== undefined);
  const header = shaped ? [...HEADER, 'KERNEL star', 'ring'] : HEADER;
  return formatTable(
    header,
    rows.map((row) => [...cellsOf(row), ...(shaped ? kernelCells(row) : [])]),
  );
}

function cellsOf(row: TaxRow): string[] {
  const { star, ring } = row;
  return [
    ...[row.graph, formatBytes(row.payloadBytes)],
    ...[formatBytes(star.wireBytes), formatBytes(ring.wireBytes)],
    ratioCell(row.bytesRatio, row.bytesRange),
    ...[String(star.messages), String(ring.messages)],
    ...[star.p50Ms, ring.p50Ms].map((ms) => ms.toFixed(2)),
    ratioCell(row.latencyRatio, row.latencyRange),
    ...[star.p99Ms, ring.p99Ms].map((ms) => ms.toFixed(2)),
    fasterArm(row),
  ];
}

function kernelCells({ star, ring }: TaxRow): string[] {
  return [star, ring].map(({ interfaceBytes }) => formatBytes(interfaceBytes ?? Number.NaN));
}

function ratioCell(ratio: number, [low, high]: Range): string {
  return `${ratio.toFixed(2)}x [${low.toFixed(2)}-${high.toFixed(2)}]`;
}

/** Per graph: where the ring wins, and which links carried the payload at the largest size. */
export function taxFindings(rows: readonly TaxRow[]): string {
  const lines = GRAPHS.flatMap((graph) => {
    const own = rows.filter((row) => row.graph === graph);
    const largest = own[own.length - 1];
    if (!largest) return [];
    return [
      `${graph}: ${describeCrossover(own)}`,
      `  ${formatBytes(largest.payloadBytes)} as star: ${carriers(largest.star, largest)}`,
      `  ${formatBytes(largest.payloadBytes)} as ring: ${carriers(largest.ring, largest)}`,
    ];
  });
  return lines.join('\n');
}

/** The links on which most of a payload went, in the order of their bytes. */
function carriers({ links }: ArmFigures, { payloadBytes }: TaxRow): string {
  const heavy = Object.entries(links).filter(([, { bytes }]) => bytes > payloadBytes / 2);
  if (heavy.length === 0) return 'no link carried the payload';
  return heavy.map(([link, { bytes }]) => `${link} ${formatBytes(bytes)}`).join(', ');
}
