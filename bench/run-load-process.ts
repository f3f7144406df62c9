import { Metadata } from '@grpc/grpc-js';
import type { ServiceError } from '@grpc/grpc-js';

import {
  ApplicationServiceClient,
  RunRequest,
  RunState,
} from '../protos/gen/fractory/v1/application.js';
import type { RunEnded, RunResponse } from '../protos/gen/fractory/v1/application.js';
import { Graph } from '../protos/gen/fractory/v1/graph.js';
import { ChannelPool } from '../runtime/channels.js';
import { seededRandom } from '../runtime/seeded-random.js';
import type { LoadOrder, LoadReport } from './run-load.js';

const REFUSED_PAUSE_MS = 20;

/** Runs graphs of an order that comes as JSON, and prints the report as one line. A refused run is not sent again. */
const order = await orderOnInput();
const pool = new ChannelPool();
const client = pool.client(ApplicationServiceClient, order.address);
const graphs = order.graphs.map((encoded) => Graph.decode(Buffer.from(encoded, 'base64')));
const report: LoadReport = { sent: 0, refused: 0, failed: {}, doneMs: [], refusedMs: [] };
let turn = 0;
const startedAtMs = performance.now();
const elapsedMs = (): number => performance.now() - startedAtMs;

if (order.callers > 0) await closed(order);
else await open(order);
pool.close();
console.log(JSON.stringify(report));

/** So many callers, one run after the other each. */
async function closed({ callers, durationMs }: LoadOrder): Promise<void> {
  const caller = async (): Promise<void> => {
    while (elapsedMs() < durationMs) await run();
  };
  await Promise.all(Array.from({ length: callers }, caller));
}

/** Arrivals that don't wait for anything: a Poisson process, caught up with where this process was late. */
async function open({ perSecond, durationMs, seed }: LoadOrder): Promise<void> {
  const random = seededRandom(seed);
  const under: Promise<void>[] = [];
  for (let dueMs = 0; dueMs < durationMs; dueMs -= Math.log(1 - random()) * (1000 / perSecond)) {
    const waitMs = dueMs - elapsedMs();
    if (waitMs > 1) await new Promise((resolve) => setTimeout(resolve, waitMs));
    under.push(run());
  }
  await Promise.all(under);
}

async function run(): Promise<void> {
  const graph = graphs[turn++ % graphs.length];
  const sentAtMs = elapsedMs();
  report.sent++;
  try {
    const end = await endOf(graph);
    if (end?.state === RunState.SUCCEEDED)
      report.doneMs.push([elapsedMs(), elapsedMs() - sentAtMs]);
    else count(end?.failure?.reason ?? 'no end');
  } catch (thrown) {
    const { details } = thrown as ServiceError;
    if (/runs are under way, the limit is/.test(details)) {
      report.refused++;
      report.refusedMs.push(elapsedMs() - sentAtMs);
      // Whoever waits for an answer before the next run does not storm.
      if (order.callers > 0) await new Promise((resolve) => setTimeout(resolve, REFUSED_PAUSE_MS));
    } else count(details);
  }
}

function count(why: string): void {
  report.failed[why] = (report.failed[why] ?? 0) + 1;
}

function endOf(graph: Graph | undefined): Promise<RunEnded | undefined> {
  return new Promise((resolve, reject) => {
    const request = RunRequest.fromPartial({ graph: graph ?? {}, budgetMs: 30_000 });
    const stream = client.run(request, new Metadata(), { deadline: Date.now() + 60_000 });
    let end: RunEnded | undefined;
    stream.on('data', ({ event }: RunResponse) => {
      if (event?.event?.$case === 'ended') end = event.event.value;
    });
    stream.on('end', () => {
      resolve(end);
    });
    stream.on('error', reject);
  });
}

async function orderOnInput(): Promise<LoadOrder> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString()) as LoadOrder;
}
