import { ProcessKind, ProcessState } from '../../protos/gen/fractory/v1/launcher.js';
import type { LauncherProcess } from '../../protos/gen/fractory/v1/launcher.js';
import { isPaused } from '../chaos/process-table.js';
import type { MemberState } from '../health-probe.js';
import type { KnownProcess } from '../member-status.js';
import type { RunRecord } from '../run-file.js';
import { ControlClient } from './control-client.js';

const STATES: ReadonlyMap<ProcessState, MemberState> = new Map([
  [ProcessState.DRAINING, 'DRAINING'],
  [ProcessState.DRAINED, 'DRAINED'],
  [ProcessState.DEAD, 'DEAD'],
]);

/** The node processes of a launcher: as it says itself, or where it can't be asked, as it wrote down; of those that stand still the kernel says it. */
export async function knownNodes(record: RunRecord | undefined): Promise<KnownProcess[]> {
  const nodes = await nodesOf(record);
  return Promise.all(
    nodes.map(async (node) => ((await isPaused(node)) ? { ...node, state: 'FROZEN' } : node)),
  );
}

async function nodesOf(record: RunRecord | undefined): Promise<KnownProcess[]> {
  const written = (record?.processes ?? []).filter(({ kind }) => kind === 'node');
  if (record?.control === undefined) return written;
  using control = new ControlClient(record.control);
  try {
    return (await control.listProcesses())
      .filter(({ kind }) => kind === ProcessKind.NODE)
      .map(describe);
  } catch {
    // It starts, stops or is busy: what it wrote down is a moment old at most.
    return written;
  }
}

function describe({ name, pid, state }: LauncherProcess): KnownProcess {
  return { name, pid, state: STATES.get(state) ?? 'STARTING' };
}
