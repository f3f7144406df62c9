import type { Graph } from '../../protos/gen/fractory/v1/graph.js';
import type { Value } from '../../protos/gen/fractory/v1/value.js';
import { textValue, integerValue, toPlain } from '../../protos/values.js';
import { chain, step } from '../chain-graph.js';
import { payloadName } from './payload.js';
import type { Arm, GraphName } from './rows.js';

/** Owner of the files. */
export const CLIENT = 'tax';

/** One graph: the nodes that it needs, what runs, and how a right result looks. */
export interface Workload {
  readonly graph: GraphName;
  /** Device types by member name. */
  readonly members: Readonly<Record<string, string>>;
  /** Where the bytes of files are. */
  readonly storage: 'folder' | 'block';
  readonly graphFor: (payloadBytes: number, arm: Arm) => Graph;
  /** Whether a run did what it should. */
  readonly accepts: (result: Value, payloadBytes: number) => boolean;
}

/** storage.read -> math.complement -> storage.write: the same graph in both arms. */
const linear: Workload = {
  graph: 'linear',
  members: { 'application-1': 'application', 'storage-1': 'storage', 'math-1': 'math' },
  storage: 'folder',
  graphFor: (payloadBytes) =>
    chain('tax-linear', [
      step('read', 'storage.read', fileArguments(payloadName(payloadBytes))),
      step('complement', 'math.complement'),
      step('write', 'storage.write', fileArguments(outputName(payloadBytes))),
    ]),
  accepts: (result, payloadBytes) => sizeIn(result, 'sizeBytes', 'size') === payloadBytes,
};

/**
 * storage.read -> cnn.inspect, with the files of storage on a block device. Ring: the answer of storage is a capability on a memory of the block node, and
 * the CNN node pulls from there. Star: storage fetches the bytes itself (`proxy`), as a file server without capabilities must.
 */
const layered: Workload = {
  graph: 'layered',
  members: {
    'application-1': 'application',
    'block-1': 'block',
    'storage-1': 'storage',
    'cnn-1': 'cnn',
  },
  storage: 'block',
  graphFor: (payloadBytes, arm) =>
    chain('tax-layered', [
      step('read', 'storage.read', {
        ...fileArguments(payloadName(payloadBytes)),
        ...(arm === 'star' && { proxy: integerValue(1n) }),
      }),
      step('inspect', 'cnn.inspect'),
    ]),
  accepts: (result, payloadBytes) => sizeIn(result, 'bytes') === payloadBytes,
};

export const WORKLOADS: Readonly<Record<GraphName, Workload>> = { linear, layered };

/** The file that a run of the linear graph writes. */
export function outputName(payloadBytes: number): string {
  return `complement-${String(payloadBytes)}.bin`;
}

function fileArguments(name: string): Readonly<Record<string, Value>> {
  return { client: textValue(CLIENT), name: textValue(name) };
}

/** A number in a JSON result, under the first of the names that is there. */
function sizeIn(result: Value, ...names: readonly string[]): number {
  const plain = toPlain(result) as Readonly<Record<string, unknown>>;
  const name = names.find((candidate) => candidate in plain);
  return name === undefined ? Number.NaN : Number(plain[name]);
}
