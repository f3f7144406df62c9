import type { Model, TensorDescription } from '../../protos/gen/fractory/v1/cnn.js';
import type { MemberOutcome } from './each-member.js';

/** How one member has a version. */
export interface Holding {
  readonly member: string;
  readonly model: Model;
}

/** A version of a model at all members that have it. */
export interface ModelRow {
  readonly name: string;
  readonly version: number;
  /** At least one, in the order of the members. */
  readonly holdings: readonly Holding[];
}

/** Versions over all members that answered, in order of name and version, the newest first. */
export function modelRows(outcomes: readonly MemberOutcome<readonly Model[]>[]): ModelRow[] {
  const rows = new Map<string, { name: string; version: number; holdings: Holding[] }>();
  for (const outcome of outcomes) {
    if ('error' in outcome) continue;
    for (const model of outcome.answer) {
      const { name, version } = model;
      const key = `${name}@${String(version)}`;
      const row = rows.get(key) ?? { name, version, holdings: [] };
      row.holdings.push({ member: outcome.member, model });
      rows.set(key, row);
    }
  }
  return [...rows.values()].sort(
    (one, other) => compare(one.name, other.name) || other.version - one.version,
  );
}

/** What several members say, told once where they agree: `ready`, or `ready (cnn-1), unloaded (cnn-2)`. */
export function told(
  { holdings }: ModelRow,
  of: (model: Model) => string,
  members: number,
): string {
  const said = new Map<string, string[]>();
  for (const { member, model } of holdings) {
    const text = of(model);
    said.set(text, [...(said.get(text) ?? []), member]);
  }
  if (said.size === 1 && holdings.length === members) return [...said.keys()].join('');
  return [...said]
    .map(([text, sayers]) => `${text === '' ? '-' : text} (${sayers.join(', ')})`)
    .join(', ');
}

/** Counts and times of all members together; means in µs, 0 where there was no request. */
export interface Work {
  readonly requests: number;
  readonly failures: number;
  readonly queueUs: number;
  readonly decodeUs: number;
  readonly computeUs: number;
  readonly outputUs: number;
}

export function workOf({ holdings }: ModelRow): Work {
  const all = holdings.flatMap(({ model }) => model.statistics ?? []);
  const sum = (field: Exclude<keyof (typeof all)[number], 'lastUsedMs'>): number =>
    all.reduce((total, statistics) => total + Number(statistics[field]), 0);
  const requests = sum('requests');
  const mean = (field: 'queueUs' | 'decodeUs' | 'computeUs' | 'outputUs'): number =>
    requests === 0 ? 0 : sum(field) / requests;
  return {
    ...{ requests, failures: sum('failures') },
    ...{ queueUs: mean('queueUs'), decodeUs: mean('decodeUs') },
    ...{ computeUs: mean('computeUs'), outputUs: mean('outputUs') },
  };
}

/** What `--json` prints of a version: what it is, and how each member has it. */
export function rowData({ name, version, holdings }: ModelRow): object {
  const [{ model } = { model: undefined }] = holdings;
  return {
    name,
    version,
    summary: model?.summary ?? '',
    labels: model?.labels ?? [],
    width: model?.width ?? 0,
    height: model?.height ?? 0,
    accuracy: model?.accuracy ?? 0,
    members: holdings.map(({ member, model: held }) => holdingData(member, held)),
  };
}

function holdingData(member: string, model: Model): object {
  const { arrangement, statistics } = model;
  return {
    member,
    state: model.state,
    loaded: model.loaded,
    servesByDefault: model.servesByDefault,
    pinned: model.pinned,
    memoryBytes: Number(model.memoryBytes),
    sha256: model.sha256,
    inputs: model.inputs.map(tensorData),
    outputs: model.outputs.map(tensorData),
    arrangement: arrangement ?? null,
    statistics: statistics
      ? Object.fromEntries(Object.entries(statistics).map(([key, value]) => [key, Number(value)]))
      : null,
  };
}

function tensorData({ name, datatype, shape }: TensorDescription): object {
  return { name, datatype, shape: shape.map(Number) };
}

function compare(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
