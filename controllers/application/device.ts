import { Counter } from 'prom-client';

import { systemClock } from '../../runtime/clock.js';
import { unavailable } from '../../runtime/errors.js';
import { applicationAdaptor } from '../../services/application/adaptor.js';
import { runTakenOver } from '../../services/application/journal/journal-entry.js';
import { RunTable } from '../../services/application/run-table.js';
import type { Device, DeviceContext } from '../kernel/device.js';
import { DurableRuns } from './durable-runs.js';
import { EndedRuns, LEAST_KEPT_MS } from './ended-runs.js';
import { StoredJournalFiles } from './journal-files.js';
import { Journal } from './journal.js';
import { RunAdmission } from './run-admission.js';
import { Runner } from './runner.js';
import { applicationService } from './service.js';
import { followLeadership } from './take-over.js';
import { keepWarm } from './warm-links.js';

/** Where all nodes start at once storage is not the first. */
const STORAGE_PATIENCE_MS = 2000;

/** The application node: it composes the operations of others and has a few small ones of its own. */
export function makeApplicationDevice(context: DeviceContext<unknown>): Promise<Device> {
  const { kernel, member, log, tracer, peers } = context;
  const { limits } = kernel;
  const runs = new RunTable({
    maxRuns: limits.max_runs,
    maxRemembered: limits.max_remembered_runs,
    maxRememberedBytes: limits.max_remembered_bytes,
  });
  const runner = new Runner(kernel, log, tracer, retryCounter(context));
  const admission = new RunAdmission({
    ...{ maxRuns: limits.max_runs, maxWaiting: limits.max_waiting_runs, clock: systemClock },
    registry: context.registry,
  });
  const journal = new Journal(new StoredJournalFiles(peers));
  const ended = new EndedRuns({
    ...{ journal, log },
    limits: {
      most: limits.max_remembered_runs,
      ...{ leastMs: LEAST_KEPT_MS, longestMs: limits.durable_run_age_ms },
    },
  });
  const stopping = new AbortController();
  const { signal } = stopping;
  const common = { kernel, runs, runner, journal, ended, log, stopping: signal };
  const durable = new DurableRuns({ member, ...common, storagePatienceMs: STORAGE_PATIENCE_MS });
  const stopFollowing = [
    keepWarm(kernel, member, log),
    followLeadership({ ...common, durable }),
    kernel.onMembers(durable.noticeStorage),
    // Whoever leads in a younger epoch takes them up, and that may be this node.
    kernel.onEpoch(() => {
      ended.clear();
      durable.abandon((run) => runTakenOver(run));
    }),
  ];
  return Promise.resolve({
    adaptor: applicationAdaptor(),
    services: [applicationService({ member, kernel, runs, runner, durable, admission })],
    drain: async (stop) => {
      // The next leader has them already, or will have them in a moment.
      const hasSuccessor = kernel
        .members()
        .some((one) => one.type === 'application' && one.id !== member);
      if (hasSuccessor) durable.abandon((run) => runTakenOver(run));
      await runs.whenIdle(stop);
      runs.abandonAll(unavailable('NODE_STOPPING', `${member} is stopping`));
    },
    [Symbol.asyncDispose]: () => {
      for (const stop of stopFollowing) stop();
      admission.close();
      stopping.abort(unavailable('NODE_STOPPING', `${member} is stopping`));
      ended.stop();
      runs.abandonAll(unavailable('NODE_STOPPING', `${member} is stopping`));
      runner.stop();
      return Promise.resolve();
    },
  });
}

function retryCounter({ registry }: DeviceContext<unknown>): (() => void) | undefined {
  if (!registry) return undefined;
  const counter = new Counter({
    name: 'fractory_run_retries_total',
    help: 'Attempts at runs beyond the first',
    registers: [registry],
  });
  return () => {
    counter.inc();
  };
}
