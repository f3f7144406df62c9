import { setTimeout as delay } from 'node:timers/promises';

import { toFractoryError } from '../../protos/status.js';
import { AbortScope } from '../../runtime/abort-scope.js';
import { backoffMs } from '../../runtime/backoff.js';
import type { Logger } from '../../runtime/logger.js';
import type { KernelAccess } from '../kernel/device.js';
import { hasStorage } from './durable-runs.js';
import type { DurableRuns } from './durable-runs.js';
import type { EndedRuns } from './ended-runs.js';
import type { JournalFile } from './journal-files.js';
import type { Journal } from './journal.js';

export interface TakeOverParts {
  readonly kernel: Pick<KernelAccess, 'epoch' | 'leads' | 'onLeads' | 'members'>;
  readonly journal: Pick<Journal, 'list'>;
  readonly durable: Pick<DurableRuns, 'find'>;
  readonly ended: EndedRuns;
  readonly log: Logger;
  readonly stopping: AbortSignal;
  /**
   * Between two looks while this node leads, ms: a node that led before may have written a run down while this one looked, or somebody may have given one up.
   * Default 20,000.
   */
  readonly lookAgainMs?: number;
}

const LOOK_AGAIN_MS = 20_000;
/** More where looking takes long: no more than one part in so many of the time. */
const LOOK_SHARE = 50;
/** Runs that are taken up at a time. */
const PARALLEL = 8;
/** Storage may start after this node. */
const BACKOFF = { initialMs: 100, maxMs: 2000 };

/**
 * Whenever this node begins to lead, it takes up all durable runs that have not ended, whoever ran them, and looks for more of them now and then for as long
 * as it leads. Returns what ends that.
 */
export function followLeadership(parts: TakeOverParts): () => void {
  let looking = new AbortController();
  const stopListening = parts.kernel.onLeads(() => {
    looking.abort();
    looking = new AbortController();
    void takeAll(parts, looking.signal);
  });
  return () => {
    stopListening();
    looking.abort();
  };
}

/** Never rejects. Ends at the abort of `over`, or when this life of the node leads no more. */
async function takeAll(parts: TakeOverParts, over: AbortSignal): Promise<void> {
  const { kernel, stopping, lookAgainMs = LOOK_AGAIN_MS } = parts;
  const epoch = kernel.epoch();
  const scope = new AbortScope(stopping, over);
  const { signal } = scope;
  const isCurrent = (): boolean => kernel.leads() && kernel.epoch() === epoch && !signal.aborted;
  for (let failures = 0; isCurrent();) {
    const beganAtMs = performance.now();
    failures = (await look(parts, isCurrent)) ? 0 : failures + 1;
    const tookMs = performance.now() - beganAtMs;
    const pauseMs =
      failures > 0 ? backoffMs(failures, BACKOFF) : Math.max(lookAgainMs, LOOK_SHARE * tookMs);
    // Nobody has to wait for the end of it.
    await delay(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
  scope.end();
}

/** Whether nothing is left that could be taken up soon. Never rejects. */
async function look(parts: TakeOverParts, isCurrent: () => boolean): Promise<boolean> {
  const { kernel, journal, ended, log, stopping } = parts;
  if (!hasStorage(kernel)) return false;
  try {
    const files = await journal.list(stopping);
    if (!isCurrent()) return true;
    ended.begin(
      files
        .filter((file) => file.isEnded)
        .map(({ run, version, modifiedMs }) => ({ run, version, atMs: modifiedMs })),
    );
    const open = files.filter((file) => !file.isEnded);
    return await takeUp(open, parts, isCurrent);
  } catch (error) {
    const { message } = toFractoryError(error);
    log.debug({ error: message }, 'durable runs are looked for again');
    return false;
  }
}

/** Whether none is left that could be taken up later. */
async function takeUp(
  open: readonly JournalFile[],
  { durable, log }: TakeOverParts,
  isCurrent: () => boolean,
): Promise<boolean> {
  let failed = 0;
  const rest = open.values();
  const worker = async (): Promise<void> => {
    for (const { run } of rest) {
      if (!isCurrent()) return;
      try {
        await durable.find(run);
      } catch (error) {
        failed++;
        const { reason, message } = toFractoryError(error);
        // The owner before wrote at the same moment: the next look tells what.
        const level = reason === 'RUN_TAKEN_OVER' ? 'debug' : 'warn';
        log[level]({ run, reason, error: message }, 'durable run was not taken up yet');
      }
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  return failed === 0;
}
