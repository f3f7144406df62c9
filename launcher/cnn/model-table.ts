import type { Model } from '../../protos/gen/fractory/v1/cnn.js';
import { formatTable } from '../table.js';
import { told, workOf } from './model-rows.js';
import type { ModelRow } from './model-rows.js';

const HEADER = [
  ...['MODEL', 'DEFAULT', 'STATE', 'INPUT', 'LABELS', 'ACCURACY', 'MEMORY'],
  ...['REQUESTS', 'FAILED', 'QUEUE', 'DECODE', 'COMPUTE', 'OUTPUT'],
];
/** More labels, or longer ones, are counted. */
const MAX_LABELS_LENGTH = 20;

/** The models of `members` members, a row for each version; times are means of a request, ms. */
export function modelTable(rows: readonly ModelRow[], members: number): string {
  const cells = rows.map((row) => {
    const [{ model } = { model: undefined }] = row.holdings;
    const { requests, failures, queueUs, decodeUs, computeUs, outputUs } = workOf(row);
    const time = (us: number): string => (requests === 0 ? '-' : `${(us / 1000).toFixed(1)} ms`);
    return [
      nameOf(row),
      told(row, roleOf, members),
      told(row, stateOf, members),
      ...(model ? [inputOf(model), labelsOf(model), accuracyOf(model)] : ['', '', '']),
      memoryOf(row),
      ...[String(requests), String(failures)],
      ...[queueUs, decodeUs, computeUs, outputUs].map(time),
    ];
  });
  return formatTable(HEADER, cells);
}

/** How loaded models are run and why, and what is wrong with others; one line each. */
export function modelNotes(rows: readonly ModelRow[], members: number): string[] {
  return rows.flatMap((row) => {
    const name = nameOf(row);
    const { holdings } = row;
    const notes: string[] = [];
    if (holdings.some(({ model }) => model.arrangement))
      notes.push(`${name}: ${told(row, arrangementOf, members)}`);
    if (holdings.some(({ model }) => isBroken(model)))
      notes.push(`${name} ${faultOf(row)}: ${told(row, ({ state }) => state, members)}`);
    if (new Set(holdings.map(({ model }) => model.sha256)).size > 1)
      notes.push(
        `${name} is not the same at all members: ${told(row, ({ sha256 }) => `SHA-256 ${sha256.slice(0, 12)}`, members)}`,
      );
    return notes;
  });
}

/** `12.3 MiB`. */
export function bytesText(bytes: number): string {
  if (bytes < 1024 ** 2) return `${String(Math.ceil(bytes / 1024))} KiB`;
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** `2 workers x 1 thread, batch up to 8 (why)`. */
export function arrangementOf({ arrangement }: Model): string {
  if (!arrangement) return 'not loaded';
  const { workers, threads, maxBatch, maxDelayUs, reason } = arrangement;
  const batch = maxBatch > 1 ? `batch up to ${String(maxBatch)}` : 'batch 1';
  const delay = maxDelayUs > 0 ? `, waits up to ${(maxDelayUs / 1000).toFixed(1)} ms` : '';
  const why = reason === '' ? '' : `: ${reason}`;
  return `${counted(workers, 'worker')} x ${counted(threads, 'thread')}, ${batch}${delay}${why}`;
}

function nameOf({ name, version }: ModelRow): string {
  return `${name}@${String(version)}`;
}

function roleOf({ servesByDefault, pinned }: Model): string {
  if (pinned) return 'pinned';
  return servesByDefault ? 'newest' : '';
}

function isBroken({ state }: Model): boolean {
  return state !== 'ready' && state !== 'unloaded';
}

function faultOf({ holdings }: ModelRow): string {
  const serves = holdings.some(({ model }) => isBroken(model) && model.loaded);
  return serves ? "can't be loaded again" : "can't be used";
}

function stateOf(model: Model): string {
  if (isBroken(model)) return model.loaded ? 'broken, old one serves' : 'broken';
  return model.state === 'ready' && model.loaded ? 'loaded' : model.state;
}

function inputOf({ width, height, inputs }: Model): string {
  if (width > 0) return `${String(width)}x${String(height)}`;
  const shapes = inputs.map(({ datatype, shape }) => `${datatype}[${shape.join(',')}]`);
  return shapes.length > 0 ? shapes.join(' ') : '-';
}

function labelsOf({ labels }: Model): string {
  const all = labels.join(', ');
  if (labels.length === 0) return '-';
  return all.length <= MAX_LABELS_LENGTH ? all : String(labels.length);
}

function accuracyOf({ accuracy }: Model): string {
  return accuracy > 0 ? `${(100 * accuracy).toFixed(1)} %` : '-';
}

function memoryOf({ holdings }: ModelRow): string {
  const bytes = holdings.reduce((sum, { model }) => sum + Number(model.memoryBytes), 0);
  return bytes > 0 ? bytesText(bytes) : '-';
}

function counted(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? '' : 's'}`;
}
