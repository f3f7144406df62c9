import { DurableRuns } from '../../../controllers/application/durable-runs.js';
import { EndedRuns } from '../../../controllers/application/ended-runs.js';
import { Journal } from '../../../controllers/application/journal.js';
import { Runner } from '../../../controllers/application/runner.js';
import { followLeadership } from '../../../controllers/application/take-over.js';
import { Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { RunEnded, RunEvent } from '../../../protos/gen/fractory/v1/application.js';
import type { Graph } from '../../../protos/gen/fractory/v1/graph.js';
import { cancelled } from '../../../runtime/errors.js';
import { silentLogger } from '../../../runtime/logger.js';
import type { RunRecord } from '../../../services/application/run-record.js';
import type { RunOptions } from '../../../services/application/run-record.js';
import { RunTable } from '../../../services/application/run-table.js';
import { operation } from '../kernel/kernels.js';
import type { MemoryAccess } from './kernel-access.js';
import type { MemoryJournalFiles } from './memory-journal.js';

/** What an application node has of durable runs, in the life that it has now. */
export function ownerOf(
  access: MemoryAccess,
  files: MemoryJournalFiles,
  { maxRuns = 8, lookAgainMs = 60_000, storagePatienceMs = 0 } = {},
) {
  const log = silentLogger();
  const runs = new RunTable({ maxRuns, maxRemembered: maxRuns, maxRememberedBytes: 100_000 });
  const runner = new Runner(access, log);
  const journal = new Journal(files);
  const limits = { most: 8, leastMs: 60_000, longestMs: 3_600_000 };
  const ended = new EndedRuns({ journal, log, limits });
  const stopping = new AbortController();
  const epoch = access.epoch();
  const kernel = {
    epoch: () => epoch,
    leads: () => access.leads(),
    stepBack: (above: bigint) => access.stepBack(above),
    onLeads: (listener: () => void) => access.onLeads(listener),
    members: () => access.members(),
  };
  const common = { kernel, runs, runner, journal, ended, log, stopping: stopping.signal };
  const durable = new DurableRuns({ member: 'application-1', ...common, storagePatienceMs });
  const unfollow = followLeadership({ ...common, durable, lookAgainMs });
  return {
    ...{ runs, durable, ended },
    /** It dies: nothing that it does from now on matters to anybody. */
    die: (): void => {
      unfollow();
      stopping.abort(cancelled('it died'));
      ended.stop();
      runs.abandonAll(cancelled('it died'));
    },
  };
}

export function sent(graph: Graph, fields: Partial<RunOptions> = {}): RunOptions {
  return {
    ...{ id: 'r', graph, topology: Topology.RING, budgetMs: 5000, startedAtMs: Date.now() },
    ...{ durable: true },
    ...fields,
  };
}

export async function eventsOf(run: RunRecord): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const event of run.events(new AbortController().signal)) events.push(event);
  return events;
}

export async function endOf(run: RunRecord): Promise<RunEnded> {
  await run.whenEnded(new AbortController().signal);
  if (!run.ended) throw new Error(`run ${run.id} has not ended`);
  return run.ended;
}

/** An operation that must not be done twice. */
export function once(name: string, perform: Parameters<typeof operation>[1]) {
  const made = operation(name, perform);
  return { ...made, spec: { ...made.spec, idempotent: false } };
}
