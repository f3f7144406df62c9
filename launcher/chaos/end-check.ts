import { status } from '@grpc/grpc-js';

import { FractoryError } from '../../runtime/errors.js';
import { leaderOf } from '../../zookeeper/coordinator.js';
import type { Coordinator } from '../../zookeeper/coordinator.js';
import { hasSucceeded } from './chaos-calls.js';
import type { ChaosCalls } from './chaos-calls.js';
import type { ChaosEvent } from './events.js';
import type { Experiment } from './experiment.js';

/** The newest durable runs, which have to be remembered. */
const MOST_ASKED = 100;
const CALL_TIMEOUT_MS = 5000;

/** Asks for the ends of durable runs again: whoever leads now has to tell the same end that the client heard. */
export async function checkEnds(
  experiment: Experiment,
  coordinator: Pick<Coordinator, 'members'>,
  calls: Pick<ChaosCalls, 'watch'>,
): Promise<void> {
  const asked = experiment.events.flatMap(endedOf).slice(-MOST_ASKED);
  let forgotten = 0;
  for (const { run, outcome } of asked) {
    const leader = leaderOf(coordinator.members(), 'application');
    if (!leader) return;
    try {
      const ended = await calls.watch(leader.address, run, CALL_TIMEOUT_MS);
      const now = hasSucceeded(ended) ? 'succeeded' : 'failed';
      if (now === outcome) continue;
      const detail = `its client heard that it ${outcome}, asked again it ${now}`;
      experiment.record({ event: 'found', run, was: outcome, outcome: 'doubled', detail });
    } catch (error) {
      if (!(error instanceof FractoryError)) throw error;
      if (error.code !== status.NOT_FOUND) {
        experiment.record({ event: 'note', text: `run ${run} can't be watched: ${error.message}` });
        return;
      }
      forgotten++;
    }
  }
  if (forgotten === 0) return;
  const text = `${String(forgotten)} of the ${String(asked.length)} newest durable runs are not remembered`;
  experiment.record({ event: 'note', text });
}

interface Ended {
  readonly run: string;
  readonly outcome: 'succeeded' | 'failed';
}

function endedOf(event: ChaosEvent): Ended[] {
  // One that was refused was never accepted, and nobody has to remember it.
  if (event.event !== 'run' || !event.durable || event.attempts === 0) return [];
  const { run, outcome } = event;
  return outcome === 'succeeded' || outcome === 'failed' ? [{ run, outcome }] : [];
}
