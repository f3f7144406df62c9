import { createHash } from 'node:crypto';

import { deviceDamaged } from './failures.js';
import { ExtentTable } from './extent-table.js';
import type { Change } from './extent-table.js';

/**
 * The text of a journal: one line each, a checksum and JSON. First the header, then the snapshot's lines, then one line for each batch of changes.
 * A line is written only after the one before it is durable, so a crash can tear the last one only.
 */
export interface JournalHeader {
  readonly format: 1;
  /** Random. */
  readonly device: string;
  readonly blockBytes: number;
  readonly capacityBlocks: number;
  /** Number of the last batch that the snapshot includes. */
  readonly batch: number;
  /** Lines of the snapshot. */
  readonly lines: number;
}

interface Batch {
  readonly batch: number;
  readonly changes: readonly Change[];
}

export interface Recovered {
  readonly header: JournalHeader;
  readonly table: ExtentTable;
  /** Number of the last batch. */
  readonly batch: number;
  /** Where the next line begins: behind the last good one. */
  readonly endBytes: number;
}

const CHANGES_PER_LINE = 500;
const NEWLINE = 0x0a;

export function encodeBatch(batch: number, changes: readonly Change[]): Buffer {
  return encodeLine({ batch, changes } satisfies Batch);
}

/** The lines of a journal that says in one go what the table holds. The table stays as it is meanwhile. */
export function* snapshotLines(
  header: Omit<JournalHeader, 'format' | 'lines'>,
  table: ExtentTable,
): Generator<Buffer, void> {
  const changes = table.extents.size + (table.dirty.count > 0 ? 1 : 0);
  const lines = Math.ceil(changes / CHANGES_PER_LINE);
  yield encodeLine({ ...header, format: 1, lines } satisfies JournalHeader);
  let line: Change[] = [];
  for (const change of table.snapshot()) {
    line.push(change);
    if (line.length < CHANGES_PER_LINE) continue;
    yield encodeBatch(header.batch, line);
    line = [];
  }
  if (line.length > 0) yield encodeBatch(header.batch, line);
}

/** What a journal says. A torn last line is left out; anything else that isn't right is DATA_LOSS. */
export function recover(device: string, text: Buffer): Recovered {
  const lines = linesOf(text);
  const first = lines.next().value;
  const header = first?.data as JournalHeader | undefined;
  if (!first || header?.format !== 1)
    throw deviceDamaged(device, 'the journal has no readable beginning');
  const table = new ExtentTable(header.capacityBlocks);
  let { batch } = header;
  let snapshotLines = 0;
  let { endBytes } = first;
  for (let line = lines.next(); !line.done; line = lines.next()) {
    const { data, endBytes: end } = line.value;
    if (data === undefined) {
      checkTorn(device, lines);
      break;
    }
    const isSnapshot = snapshotLines < header.lines;
    batch = replay(device, table, data as Batch, isSnapshot ? batch : batch + 1);
    if (isSnapshot) snapshotLines++;
    endBytes = end;
  }
  if (snapshotLines < header.lines)
    throw deviceDamaged(
      device,
      `the journal has ${String(snapshotLines)} of the ${String(header.lines)} lines of its snapshot`,
    );
  return { header, table, batch, endBytes };
}

function replay(device: string, table: ExtentTable, { batch, changes }: Batch, expected: number) {
  if (batch !== expected)
    throw deviceDamaged(
      device,
      `the journal has batch ${String(batch)} where ${String(expected)} is due`,
    );
  try {
    for (const change of changes) table.apply(change);
  } catch (error) {
    throw deviceDamaged(
      device,
      `batch ${String(batch)} of the journal can not be: ${String(error)}`,
    );
  }
  return batch;
}

/** What follows a torn line was never written: a good line there says that it isn't torn but damaged. */
function checkTorn(device: string, rest: Iterable<Line>): void {
  for (const { data } of rest)
    if (data !== undefined)
      throw deviceDamaged(device, 'the journal has a damaged line with good ones behind it');
}

interface Line {
  /** Undefined = not a good line. */
  readonly data: unknown;
  readonly endBytes: number;
}

function* linesOf(text: Buffer): Generator<Line, undefined> {
  for (let at = 0; at < text.length;) {
    const newline = text.indexOf(NEWLINE, at);
    const end = newline < 0 ? text.length : newline;
    const line = text.toString('utf8', at, end);
    at = end + 1;
    yield { data: newline < 0 ? undefined : decodeLine(line), endBytes: at };
  }
}

function encodeLine(data: JournalHeader | Batch): Buffer {
  const json = JSON.stringify(data);
  return Buffer.from(`${checksum(json)} ${json}\n`);
}

function decodeLine(line: string): unknown {
  const space = line.indexOf(' ');
  const json = line.slice(space + 1);
  if (space < 0 || line.slice(0, space) !== checksum(json)) return undefined;
  return JSON.parse(json);
}

function checksum(json: string): string {
  return createHash('sha256').update(json).digest('hex').slice(0, 16);
}
