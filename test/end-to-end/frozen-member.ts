import { setTimeout as sleep } from 'node:timers/promises';

import { credentials, Metadata } from '@grpc/grpc-js';
import type { ChannelCredentials } from '@grpc/grpc-js';

import { ApplicationServiceClient, RunState } from '../../protos/gen/fractory/v1/application.js';
import type { RunResponse } from '../../protos/gen/fractory/v1/application.js';
import { integerValue } from '../../protos/values.js';
import { graph, step } from '../services/application/graphs.js';
import type { LiveDataCenter } from './live-data-center.js';

/** A run of one step that a math node does. */
export interface TimedRun {
  /** Since the first one could begin, ms. */
  readonly begunMs: number;
  readonly tookMs: number;
  readonly succeeded: boolean;
  /** Who did the step. */
  readonly member: string;
}

const FACTORIAL = graph([step('f', 'math.factorial', { input: integerValue(20n) })]);
const BUDGET_MS = 20_000;

/** What a client shows. */
export interface Shown {
  readonly credentials: ChannelCredentials;
  readonly metadata: Metadata;
}

/** Begins a run every so often for so long, whatever becomes of those before; resolves when all have ended. */
export async function runEvery(
  client: ApplicationServiceClient,
  everyMs: number,
  forMs: number,
  metadata = new Metadata(),
): Promise<TimedRun[]> {
  const startMs = performance.now();
  const runs: Promise<TimedRun>[] = [];
  for (let at = 0; at < forMs; at += everyMs) {
    await sleep(Math.max(0, startMs + at - performance.now()));
    runs.push(timedRun(client, startMs, metadata));
  }
  return Promise.all(runs);
}

async function timedRun(
  client: ApplicationServiceClient,
  startMs: number,
  metadata: Metadata,
): Promise<TimedRun> {
  const begunMs = performance.now() - startMs;
  const stream = client.run(
    { run: '', graph: FACTORIAL, topology: 0, budgetMs: BUDGET_MS, durable: false },
    metadata,
  );
  let succeeded = false;
  let member = '';
  for await (const { event } of stream as AsyncIterable<RunResponse>) {
    if (event?.event?.$case !== 'ended') continue;
    const { state, receipts } = event.event.value;
    succeeded = state === RunState.SUCCEEDED;
    member = receipts[0]?.member ?? '';
  }
  return { begunMs, tookMs: performance.now() - startMs - begunMs, succeeded, member };
}

export interface FrozenMember {
  readonly during: readonly TimedRun[];
  readonly after: readonly TimedRun[];
}

/** Freezes a math node for so long under a steady stream of runs; its connections stay, and so does its session with the coordinator. `shown`: default, nothing. */
export async function freeze(
  dataCenter: LiveDataCenter,
  id: string,
  times: { readonly forMs: number; readonly everyMs: number; readonly afterMs: number },
  shown: Shown = { credentials: credentials.createInsecure(), metadata: new Metadata() },
): Promise<FrozenMember> {
  const { pid } = await dataCenter.member(id);
  const { address } = await dataCenter.leader('application');
  const client = new ApplicationServiceClient(address, shown.credentials);
  const runFor = (forMs: number): Promise<TimedRun[]> =>
    runEvery(client, times.everyMs, forMs, shown.metadata);
  try {
    await runFor(1000);
    process.kill(pid, 'SIGSTOP');
    const during = await runFor(times.forMs).finally(() => process.kill(pid, 'SIGCONT'));
    return { during, after: await runFor(times.afterMs) };
  } finally {
    client.close();
  }
}
