import { sequence, math, DataCenter, storage } from '../applications/sdk/index.js';
import type { Flow, None } from '../applications/sdk/index.js';
import { StartedDataCenter } from './started-data-center.js';
import { finding, median, quantile } from './statistics.js';
import type { Finding } from './statistics.js';

const TIMEOUTS_MS = [1000, 2000, 4000];
const TYPES = ['storage', 'application'] as const;
/** Streams of runs, each begun when the one before has ended. */
const STREAMS = 4;
/** From the fault on a run is begun this often, ms: the first of them to succeed counts. */
const PROBE_MS = 20;
const BUDGET_MS = 20_000;
/** Between a node's return and the next fault, ms. */
const SETTLE_MS = 700;
/** Targets at a session timeout of 2 s, ms. */
const TARGET = { killP50: 300, stopP50: 50 };

type Type = (typeof TYPES)[number];
type Signal = 'SIGKILL' | 'SIGTERM';

interface Samples {
  readonly killMs: number[];
  readonly stopMs: number[];
  /** Until the list of members is without the dead. */
  readonly listMs: number[];
  /** Runs before the fault. */
  readonly runMs: number[];
}

/** A leader is killed, or stops politely, under a load of runs that need it: time to the success of a run that was begun afterwards. */
export async function measureFailover(rounds: number): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const timeoutMs of TIMEOUTS_MS) findings.push(...(await failoverAt(timeoutMs, rounds)));
  return findings;
}

/** At one session timeout. */
async function failoverAt(timeoutMs: number, rounds: number): Promise<Finding[]> {
  await using center = await StartedDataCenter.up(
    {
      FRACTORY_ZOOKEEPER_SESSION_TIMEOUT_MS: String(timeoutMs),
      FRACTORY_ZOOKEEPER_TICK_MS: '200',
      FRACTORY_CONTROLLERS_CONTROLLER_NAMES:
        'math_controller, application_controller, storage_controller',
      FRACTORY_APPLICATION_CONTROLLER_INSTANCES: '2',
      FRACTORY_STORAGE_CONTROLLER_INSTANCES: '2',
    },
    timeoutMs,
  );
  const findings: Finding[] = [];
  for (const type of TYPES) {
    const samples: Samples = { killMs: [], stopMs: [], listMs: [], runMs: [] };
    let failed = 0;
    for (let round = 0; round < rounds; round++) {
      failed += await oneFault(center, type, 'SIGKILL', samples);
      failed += await oneFault(center, type, 'SIGTERM', samples);
    }
    findings.push(...findingsOf(type, timeoutMs, samples, failed));
  }
  return findings;
}

/** Returns the number of runs that failed. */
async function oneFault(
  center: StartedDataCenter,
  type: Type,
  signal: Signal,
  samples: Samples,
): Promise<number> {
  const clients = Array.from({ length: STREAMS }, () => clientOf(center));
  const stop = new AbortController();
  let failed = 0;
  let isBroken = false;
  const streams = clients.map(async (client) => {
    while (!stop.signal.aborted) {
      const begunAtMs = performance.now();
      try {
        await client.run(flow(), { budgetMs: BUDGET_MS });
        if (!isBroken) samples.runMs.push(performance.now() - begunAtMs);
      } catch (error) {
        failed++;
        console.error(`${type} ${signal}: ${String(error)}`);
      }
    }
  });
  await sleep(SETTLE_MS / 2);
  const { pid, id, epoch } = center.leader(type);
  isBroken = true;
  const startedAtMs = performance.now();
  process.kill(pid, signal);
  const gone = center
    .membersWhen(() => !center.members(type).some((member) => member.epoch === epoch))
    .then(() => performance.now() - startedAtMs);
  const servedMs = await firstSuccess(clients, startedAtMs);
  (signal === 'SIGKILL' ? samples.killMs : samples.stopMs).push(servedMs);
  if (signal === 'SIGKILL') samples.listMs.push(await gone);
  else await gone;
  stop.abort();
  await Promise.all(streams);
  for (const client of clients) client.close();
  await center.membersWhen(() => center.members(type).some((member) => member.id === id));
  await sleep(SETTLE_MS);
  return failed;
}

/** Begins runs all the time until one of them has succeeded. */
function firstSuccess(clients: readonly DataCenter[], startedAtMs: number): Promise<number> {
  return new Promise((resolve) => {
    let turn = 0;
    const probe = (): void => {
      const client = clients[turn++ % clients.length];
      client?.run(flow(), { budgetMs: BUDGET_MS }).then(
        () => {
          clearInterval(timer);
          resolve(performance.now() - startedAtMs);
        },
        () => undefined,
      );
    };
    const timer = setInterval(probe, PROBE_MS);
    probe();
  });
}

let files = 0;

/** Needs the leaders of both types, and is answered in some milliseconds. */
function flow(): Flow<None, unknown> {
  const name = `failover-${String(files++ % 64)}.txt`;
  return sequence(math.add({ input: 1n, by: 2n }), storage.write({ client: 'bench', name }));
}

function clientOf(center: StartedDataCenter): DataCenter {
  return new DataCenter({
    application: 'failover',
    applicationNodes: center.members('application').map(({ address }) => address),
    credentials: { mode: 'open' },
  });
}

function findingsOf(type: Type, timeoutMs: number, samples: Samples, failed: number): Finding[] {
  const name = `${type}_session_${String(timeoutMs)}_ms`;
  const share = (values: readonly number[], target: number): number[] =>
    values.map((value) => value / target);
  return [
    finding(
      `failover_killed_${name}`,
      ['time to the next successful run, leader killed', `${String(TARGET.killP50)} ms`],
      share(samples.killMs, TARGET.killP50),
      {
        p50Ms: median(samples.killMs),
        p99Ms: quantile(samples.killMs, 0.99),
        listP50Ms: median(samples.listMs),
        listMostMs: Math.max(...samples.listMs),
        runP50Ms: median(samples.runMs),
        failedRuns: failed,
      },
      { most: 1 },
    ),
    finding(
      `failover_stopped_${name}`,
      ['time to the next successful run, leader stopped', `${String(TARGET.stopP50)} ms`],
      share(samples.stopMs, TARGET.stopP50),
      { p50Ms: median(samples.stopMs), p99Ms: quantile(samples.stopMs, 0.99) },
      { most: 1 },
    ),
  ];
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
