import { Runner } from '../../../controllers/application/runner.js';
import { Topology } from '../../../protos/gen/fractory/v1/application.js';
import type { RunEnded } from '../../../protos/gen/fractory/v1/application.js';
import type { Value } from '../../../protos/gen/fractory/v1/value.js';
import { silentLogger } from '../../../runtime/logger.js';
import { RunRecord } from '../../../services/application/run-record.js';
import type { RunOptions } from '../../../services/application/run-record.js';
import { chain } from '../../services/application/graphs.js';
import { operation } from '../kernel/kernels.js';
import type { MemoryAccess } from './kernel-access.js';

/** Never ends by itself. */
export const hang = operation('math.add', () => new Promise<Value>(() => undefined));

/** Begins a run: four steps in a row, if `fields` say nothing else. */
export function start(access: MemoryAccess, fields: Partial<RunOptions> = {}) {
  const run = new RunRecord({
    ...{ id: 'r', graph: chain(4, 1n), topology: Topology.RING, budgetMs: 5000, startedAtMs: 1 },
    ...fields,
  });
  const runner = new Runner(access, silentLogger());
  return { run, runner, ended: runner.execute(run) };
}

/** Runs it to its end. */
export async function finish(
  access: MemoryAccess,
  fields: Partial<RunOptions> = {},
): Promise<RunEnded> {
  const { run, ended } = start(access, fields);
  await ended;
  return run.ended!;
}

/** Resolves when the run has been tried that often. */
export async function attempted(run: RunRecord, attempts: number): Promise<void> {
  for await (const { event } of run.events(new AbortController().signal))
    if (event?.$case === 'attempted' && event.value.attempt === attempts) break;
  // The invocation leaves after the event.
  await new Promise((resolve) => setImmediate(resolve));
}
