import { sleep } from '../../runtime/deadline.js';
import type { FaultPlan, StandingFault } from './faults.js';
import type { Laboratory } from './laboratory.js';
import type { FaultMeasure } from './measures.js';
import { ZOOKEEPER } from './targets.js';
import type { Target } from './targets.js';

export interface TrialOptions {
  /** Heals after so long, ms; absent: what doesn't pass stays until somebody heals it. */
  readonly forMs: number | undefined;
  /** Until then what belongs to the fault must have been seen, ms. */
  readonly patienceMs: number;
  readonly sessionTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Load before the faults, and behind all that was waited for, ms. */
const CALM_MS = 500;

/** Does one thing to some members, and waits until all that it leads to was seen, or long enough. */
export async function runTrial(
  laboratory: Laboratory,
  plan: FaultPlan,
  targets: readonly Target[],
  options: TrialOptions,
): Promise<void> {
  const { experiment, book, faults, load } = laboratory;
  const { forMs, patienceMs, signal } = options;
  if (load) await sleep(CALM_MS, signal);
  const begun = await Promise.allSettled(targets.map((target) => faults.begin(plan, target)));
  const standing = begun.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = begun.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
  const seen = (): boolean =>
    standing.every((one) => isSeen(book.fault(one.fault), one, laboratory, options));
  if (forMs !== undefined) {
    await sleep(forMs, signal);
    await Promise.all(standing.map((one) => faults.heal(one)));
  }
  await experiment.until(seen, patienceMs, signal);
  signal.throwIfAborted();
  if (load) await sleep(CALM_MS, signal);
}

/** Whether a fault has shown all that it is expected to. */
function isSeen(
  measure: FaultMeasure | undefined,
  { kind, target }: StandingFault,
  { load }: Laboratory,
  { forMs, sessionTimeoutMs }: TrialOptions,
): boolean {
  if (!measure) return false;
  if (load && measure.nextRunMs === undefined) return false;
  const short = forMs !== undefined && forMs < 2 * sessionTimeoutMs;
  switch (kind) {
    case 'kill':
    case 'expire-session':
      if (!target.member) return target.type !== ZOOKEEPER || measure.backMs !== undefined;
      return isReplaced(measure) && measure.backMs !== undefined;
    case 'pause':
    case 'partition':
      // One that was healed before the session could end is noticed by nobody.
      return !target.member || short || isReplaced(measure);
    case 'fill-disk':
    case 'slow':
      return true;
  }
}

function isReplaced({ leader, noticedMs, newLeaderMs }: FaultMeasure): boolean {
  return noticedMs !== undefined && (!leader || newLeaderMs !== undefined);
}
