import { Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { RunEnded } from '../../../protos/gen/fractory/v1/application.js';
import { RunState } from '../../../protos/gen/fractory/v1/application.js';
import type { JournalRecord, PinnedStep } from '../../../protos/gen/fractory/v1/journal.js';
import { toFailure } from '../../../protos/status.js';
import { budgetExhausted, unavailable } from '../../../runtime/errors.js';
import type { FractoryError } from '../../../runtime/errors.js';
import type { RunOptions } from '../run-record.js';

/** An application node in one of its lives. */
export interface RunOwner {
  readonly member: string;
  readonly epoch: bigint;
}

/** Invocations of each owner carry numbers of attempts above those of all owners before. */
const ATTEMPTS_OF_ONE_OWNER = 2 ** 20;

/** The record of a run that begins now. */
export function openRecord(
  { id: run, graph, topology, budgetMs, startedAtMs, deadlineMs }: RunOptions,
  { member, epoch }: RunOwner,
  traceparent: string,
): JournalRecord {
  return {
    ...{ run, graph, topology, budgetMs, startedAtMs: BigInt(startedAtMs) },
    deadlineMs: BigInt(deadlineMs ?? startedAtMs + budgetMs),
    ...{ member, epoch, takeovers: 0, attempts: 0, traceparent, pinned: [], ended: undefined },
  };
}

/** The same run in the hands of another owner, or another life. UNAVAILABLE (RUN_TAKEN_OVER) where a younger one has it. */
export function takenUp(record: JournalRecord, { member, epoch }: RunOwner): JournalRecord {
  if (record.epoch > epoch) throw runTakenOver(record.run, record);
  // An owner that was lost had begun at least once, whether it was written down or not.
  const attempts = Math.max(record.attempts, record.takeovers + 1);
  return { ...record, member, epoch, takeovers: record.takeovers + 1, attempts };
}

/** An attempt is about to begin that may do what must not be done twice. */
export function pinnedRecord(
  record: JournalRecord,
  attempts: number,
  pinned: readonly PinnedStep[],
): JournalRecord {
  return { ...record, attempts, pinned: [...pinned] };
}

/** How it ended; a run ends once. */
export function endedRecord(record: JournalRecord, ended: RunEnded): JournalRecord {
  if (record.ended) return record;
  return { ...record, ended, attempts: ended.attempts };
}

/** The end of a run whose time was over before anybody took it up. */
export function outOfTime(record: JournalRecord, nowMs: number): RunEnded {
  const { run, budgetMs, startedAtMs, attempts } = record;
  const late = `run ${run} was not taken up again within its budget of ${String(budgetMs)} ms`;
  return {
    ...{ state: RunState.TIMED_OUT, result: undefined, receipts: [], attempts },
    failure: toFailure(budgetExhausted(late), { step: '', member: record.member }),
    elapsedUs: BigInt(Math.max(0, Math.round(nowMs - Number(startedAtMs)))) * 1000n,
  };
}

/** What a run is made of again. */
export function optionsOf(record: JournalRecord): RunOptions {
  const { run: id, graph, topology, budgetMs, startedAtMs, deadlineMs } = record;
  return {
    ...{ id, graph: graph ?? { name: '', steps: [], edges: [] }, budgetMs, durable: true },
    topology: topology === Topology.STAR ? Topology.STAR : Topology.RING,
    startedAtMs: Number(startedAtMs),
    deadlineMs: Number(deadlineMs),
  };
}

/** Number below those of all attempts of the record's present owner. */
export function attemptBase({ takeovers }: JournalRecord): number {
  return takeovers * ATTEMPTS_OF_ONE_OWNER;
}

/** The run goes on, or has ended, at another node. */
export function runTakenOver(run: string, by?: RunOwner): FractoryError {
  const who = by ? `${by.member} (epoch ${String(by.epoch)})` : 'another application node';
  return unavailable(
    'RUN_TAKEN_OVER',
    `run ${run} is in the hands of ${who}: watch it at the application node that leads`,
    { retryAfterMs: 50, ...(by ? { metadata: { member: by.member } } : {}) },
  );
}
